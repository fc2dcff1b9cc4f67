"""What `make setup` puts into .venv beside packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(sys.executable).parent


def test_molecule_works_where_nothing_is_activated() -> None:
    environment = {"HOME": os.environ["HOME"], "PATH": os.defpath, "TERM": "xterm"}
    result = subprocess.run(
        [PROGRAMS / "molecule", "list"], check=False, capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr
    assert "default" in result.stdout
    assert "\x1b" not in result.stdout, "colours are for terminals"


@pytest.mark.parametrize(
    "library", ["ansible/module_utils", "ansible_collections/community/docker/plugins/module_utils"]
)
@pytest.mark.parametrize("name", ["AnsiballZ_docker_container.py", "other.py"])
def test_modules_take_their_library_from_here_and_nobody_else_does(tmp_path: Path, library: str, name: str) -> None:
    archive = tmp_path / "archive"
    folder = archive / library
    folder.mkdir(parents=True)
    for parent in [folder, *folder.relative_to(archive).parents][:-1]:
        (archive / parent / "__init__.py").touch()
    module = tmp_path / name
    package = library.replace("/", ".")
    module.write_text(
        f"import sys; sys.path.insert(0, {str(archive)!r})\nimport {package} as p; print(p.__path__[0])\n"
    )
    path = subprocess.run([sys.executable, module], check=True, capture_output=True, text=True).stdout
    assert path.startswith(f"{archive}/") == (name == "other.py")
