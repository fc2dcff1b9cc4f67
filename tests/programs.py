"""What the unit tests ask of a program and of a database."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

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
