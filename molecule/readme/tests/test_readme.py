"""A newcomer types what the README shows, line by line, and nothing surprises."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from shared.demo import REPOSITORY, environment
from shared.private_engine import PrivateEngine

# What is not typed here, and why.
ELSEWHERE = {
    "make test": "this is part of it",
    "inventory/fleet.yml": "scenario fleet does, on machines of its own",
    "docker compose": "scenario safety does, with the Compose that the host has",
}
SURPRISE = re.compile(r"(?i:warning|deprecat)|Traceback|FAILED!|fatal:|\[ERROR\]|ERRO \[")


def typed() -> list[str]:
    """Return the lines of the README's shell blocks, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (REPOSITORY / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a clone has, with what `make setup` and the assembly of a base image have left here."""
    clone = tmp_path_factory.mktemp("newcomer") / "clone"
    others = (".git", ".venv", "backups", "uv", "report.html", ".*_cache", ".hypothesis", ".ansible")
    shutil.copytree(REPOSITORY, clone, ignore=shutil.ignore_patterns(*others), symlinks=True)
    (clone / ".venv").symlink_to(REPOSITORY / ".venv")
    return clone


def test_what_the_readme_shows_works_by_copy_and_paste(clone: Path, private: PrivateEngine) -> None:
    lines = typed()
    assert all(any(reason in line for line in lines) for reason in ELSEWHERE)
    path = [folder for folder in os.environ["PATH"].split(os.pathsep) if folder != str(REPOSITORY / ".venv/bin")]
    own = environment() | {"DOCKER_HOST": private.address, "PATH": os.pathsep.join(path)}
    # What a make tells those that it starts is not for a newcomer's.
    for variable in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
        own.pop(variable, None)
    activate = ""
    said: list[tuple[str, str]] = []
    for line in lines:
        if any(reason in line for reason in ELSEWHERE):
            continue
        command = ["bash", "-c", f"{activate}\n{line}"]
        result = subprocess.run(
            command, cwd=clone, env=own, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert result.returncode == 0, f"{line}\n{result.stdout}"
        assert not SURPRISE.search(result.stdout), f"{line}\n{result.stdout}"
        assert "\x1b" not in result.stdout, f"{line}: colours are for terminals"
        if line.startswith(". "):
            activate = line
        said.append((line, result.stdout))

    def output(words: str, *, after: str = "") -> str:
        """Return what the first line with these words said, of those after the first with the others."""
        start = next(number for number, (line, _) in enumerate(said) if after in line)
        return next(output for line, output in said[start:] if words in line)

    assert "build/report.html" in output("make demo")
    assert (clone / "build/report.html").read_text().startswith("<!doctype html>")
    assert f"SHA-256 {output('sha256sum')[:12]}" in output("--tags read", after="sha256sum")
    assert "        1: Alice\n" in output("--tags read", after="restore.yml")
    assert "wrote 0 new" in output("site.yml", after="demo_keep_volume=true")
    assert "        1: Davi\n        2: Élida\n" in output("demo_clients_file")
