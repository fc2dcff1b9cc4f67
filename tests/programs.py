"""What the unit tests ask of a program and of a database."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

Program = Callable[..., "subprocess.CompletedProcess[str]"]


def rows(database: Path) -> list[tuple[int, str]]:
    """Return the rows of the table, by an SQLite connection of the test's own."""
    with sqlite3.connect(database) as connection:
        return connection.execute("SELECT id, nome FROM clientes ORDER BY id").fetchall()


def assert_error(result: subprocess.CompletedProcess[str], code: str, status: int) -> None:
    """Assert that a program ended in the one line and the exit status that users know."""
    assert (result.returncode, result.stdout) == (status, "")
    assert result.stderr.startswith(f"ERRO [{code}]: ")
    assert result.stderr.count("\n") == 1


def figures(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the JSON object of a program's last line, without the hash and the versions."""
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    return {key: value for key, value in found.items() if key not in ("sha256", "python", "sqlite")}


def make_special(path: Path, kind: str) -> None:
    """Make something that is no file: ``fifo``, ``socket``, ``device``, or a link to one of these: ``link``."""
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        os.mkfifo(f"{path}.fifo")
        path.symlink_to(f"{path}.fifo")
    assert not stat.S_ISREG(path.stat().st_mode)
