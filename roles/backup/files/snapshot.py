"""Take a snapshot of a live SQLite database, prove it, compress it, and print what it is as one JSON object.

Without a folder to leave the snapshot in, only say what the database holds. Runs in the image, beside its module
``database``.
"""

import contextlib
import gzip
import hashlib
import itertools
import json
import os
import shutil
import sqlite3
import sys

import database

WAIT = 60_000  # milliseconds to wait for a writer, which may lock all readers out while a large batch is written


def take(path: str, folder: str) -> dict[str, object]:
    """Leave a snapshot of the database at ``path`` as ``snapshot.gz`` in ``folder``.

    Writers may be at work: the snapshot is one committed state.

    Returns:
        What its manifest says of it: ``rows``, the version of ``sqlite``, ``bytes`` and ``sha256`` of the file.

    Raises:
        database.Failure: there is no snapshot; the code says why.
    """
    copy, compressed = os.path.join(folder, "snapshot.db"), os.path.join(folder, "snapshot.gz")
    try:
        rows = duplicate(path, copy)
        with open(copy, "rb") as file, open(compressed, "wb") as raw, gzip.GzipFile("", "wb", 1, raw, 0) as packed:
            # Higher levels take up to three times as long, for hardly less.
            shutil.copyfileobj(file, packed)
        os.remove(copy)
    except OSError as error:
        raise database.Failure("SEM_ESPACO", f"a cópia não pode ser gravada ({error.strerror}).") from error
    with open(compressed, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"rows": rows, "sqlite": sqlite3.sqlite_version, "bytes": os.path.getsize(compressed), "sha256": digest}


def fingerprint(path: str) -> dict[str, object]:
    """Say what the database at ``path`` holds, in whatever order its pages are in the file.

    Returns:
        ``rows``: how many records; ``content``: the SHA-256 of the schema and of all rows of all tables.

    Raises:
        database.Failure: it cannot be read; the code says why.
    """
    digest = hashlib.sha256()
    try:
        with contextlib.closing(database.open_for_reading(path)) as connection:
            connection.execute(f"PRAGMA busy_timeout = {WAIT}")
            # All that follows sees one state.
            connection.execute("BEGIN")
            database.examine(connection, path)
            rows = database.count(connection)
            # Text is taken as it is stored, be it text or not; and told apart from a BLOB of the same bytes.
            connection.text_factory = bytearray
            schema = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()
            tables = [bytes(name).decode().replace('"', '""') for kind, name, _ in schema if kind == b"table"]
            for row in itertools.chain(schema, *(connection.execute(f'SELECT * FROM "{name}"') for name in tables)):
                digest.update(repr(row).encode())
    except sqlite3.Error as error:
        raise database.explain(error, path, writing=False) from error
    return {"rows": rows, "content": digest.hexdigest()}


def duplicate(path: str, copy: str) -> int:
    """Copy the database at ``path`` by SQLite's own means, prove the copy, and return how many records it holds."""
    try:
        with contextlib.closing(database.open_for_reading(path)) as source:
            source.execute(f"PRAGMA busy_timeout = {WAIT}")
            # All that follows sees the one state that this transaction began with.
            source.execute("BEGIN")
            rows = database.count(source)
            with contextlib.closing(sqlite3.connect(copy)) as target:
                write_pages(source, target, copy)
                # From here on writers may commit again.
                source.rollback()
                database.examine(target, path)
                if database.count(target) != rows:
                    raise database.Failure("CORROMPIDO", f"{path} não está íntegro: faltam registros na cópia.")
    except sqlite3.Error as error:
        raise database.explain(error, path, writing=False) from error
    return rows


def write_pages(source: sqlite3.Connection, target: sqlite3.Connection, copy: str) -> None:
    """Copy all pages; see https://sqlite.org/backup.html."""
    try:
        source.backup(target)
        # A database in WAL mode could not be opened on a read-only mount.
        target.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        raise database.explain(error, copy, writing=True) from error


if __name__ == "__main__":
    try:
        path, *folder = sys.argv[1:]
        print(json.dumps(take(path, *folder) if folder else fingerprint(path)))
    except database.Failure as failure:
        failure.end()
