"""The two programs, run as the image runs them, on a database in a temporary folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from programs import Program

APP = Path(__file__).parents[1] / "files" / "app"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The path of a database that does not exist yet."""
    return tmp_path / "demo.db"


@pytest.fixture
def run(database: Path) -> Program:
    """Run ``writer`` or ``reader`` on the database, by root too as by a user that files and folders can refuse."""
    bounded = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []

    def program(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        start = [*bounded, sys.executable, "-I", "-S", "-B", str(APP), command, f"--database={database}"]
        return subprocess.run([*start, *arguments], check=False, capture_output=True, encoding="utf-8", timeout=60)

    return program
