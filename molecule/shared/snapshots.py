"""Snapshots on the controller, read and changed without the project's programs."""

from __future__ import annotations

import gzip
import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any


def snapshots_in(folder: Path) -> list[Path]:
    """Return the snapshots in the folder of this host, oldest first."""
    return sorted((folder / "localhost").glob("*.gz"))


def manifest(snapshot: Path) -> dict[str, Any]:
    """Return what the manifest beside a snapshot says."""
    words: dict[str, Any] = json.loads(snapshot.with_suffix(".json").read_text())
    return words


def write_manifest(snapshot: Path, **words: object) -> None:
    """Make the manifest beside a file agree with it, and say these words, as one would who tampers with both."""
    file = {"bytes": snapshot.stat().st_size, "sha256": hashlib.sha256(snapshot.read_bytes()).hexdigest()}
    snapshot.with_suffix(".json").write_text(json.dumps(manifest(snapshot) | file | words))


def snapshot_rows(snapshot: Path) -> list[list[Any]]:
    """Return the rows in a snapshot, unpacked and read here, after SQLite has found it intact."""
    database = snapshot.with_suffix(".unpacked")
    database.write_bytes(gzip.decompress(snapshot.read_bytes()))
    connection = sqlite3.connect(database)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [list(row) for row in connection.execute("SELECT id, nome FROM clientes ORDER BY id")]
    finally:
        connection.close()
        database.unlink()
