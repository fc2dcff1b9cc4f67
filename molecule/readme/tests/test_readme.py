"""A newcomer types what the README shows, line by line, and nothing surprises."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from outside import REPOSITORY, environment
from private_engine import PrivateEngine

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
    """A copy of what a clone has, with the .venv that `make setup` has made here."""
    clone = tmp_path_factory.mktemp("newcomer") / "clone"
    ignored = shutil.ignore_patterns(".git", ".venv", "build", "backups", ".*_cache", ".hypothesis", ".ansible")
    shutil.copytree(REPOSITORY, clone, ignore=ignored, symlinks=True)
    (clone / ".venv").symlink_to(REPOSITORY / ".venv")
    return clone


def test_what_the_readme_shows_works_by_copy_and_paste(clone: Path, private: PrivateEngine) -> None:
    lines = typed()
    assert all(any(reason in line for line in lines) for reason in ELSEWHERE)
    own = environment() | {"DOCKER_HOST": private.address}
    path = own["PATH"].split(os.pathsep)
    own["PATH"] = os.pathsep.join(each for each in path if each != str(REPOSITORY / ".venv/bin"))
    activate = ""
    done = 0
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
        done += 1
    assert done > 15
    assert (clone / "build/report.html").read_text().startswith("<!doctype html>")
