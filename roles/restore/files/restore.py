"""Prove a snapshot, compare it with the database in the volume, and put it in that one's place if asked to.

Prints what it found as one JSON object. Runs in the image, beside its module ``database``.
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
import time
import zlib
from collections.abc import Iterator

import database

ABSENT = "absent"


def restore(
    snapshot: str, rows: int, path: str, part: str, *, replace: bool, force: bool, state: str
) -> dict[str, object]:
    """Prove the ``snapshot`` of ``rows`` records, and compare it with the database at ``path``.

    Args:
        snapshot: what the role backup wrote.
        rows: how many records its manifest says that it holds.
        path: the database, which need not be there.
        part: where to unpack; in the folder of ``path`` if ``replace``.
        replace: put the snapshot in the place of the database if they differ.
        force: even if that one holds records, or is damaged.
        state: what an earlier run found; refuse to replace anything else. Empty: anything.

    Returns:
        ``present``: how many records the database held; ``damaged``: that it could not be read; ``same``: that it
        holds what the snapshot does; ``state``: the SHA-256 of its file; ``replaced``: that the snapshot has taken
        its place.

    Raises:
        database.Failure: the database is as it was; the code says why.
    """
    try:
        unpack(snapshot, part)
        prove(part, rows)
        with held(path, writable=replace) as (old, damaged, found):
            present, same = compare(old, part) if old else (0, False)
            replaced = replace and not same and (force or not (present or damaged))
            if replaced and state not in ("", found):
                raise database.Failure("OCUPADO", f"{path} mudou durante a restauração; nada foi alterado.")
            if replaced:
                exchange(path, part, keep=damaged)
    except sqlite3.Error as error:
        raise database.explain(error, path, writing=replace) from error
    except OSError as error:
        message = f"{path} não pode ser gravado ({error.strerror}); ficou como estava."
        raise database.Failure("SEM_ESPACO", message) from error
    finally:
        with contextlib.suppress(OSError):
            os.remove(part)
    return {"present": present, "damaged": damaged, "same": same, "state": found, "replaced": replaced}


def unpack(snapshot: str, part: str) -> None:
    """Decompress a snapshot, to the disk itself."""
    try:
        with gzip.open(snapshot) as packed, open(part, "wb") as file:
            shutil.copyfileobj(packed, file)
            file.flush()
            os.fsync(file.fileno())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise database.Failure("CORROMPIDO", f"a cópia está danificada ({error}); nada foi alterado.") from error


def prove(part: str, rows: int) -> None:
    """See that an unpacked snapshot is an intact database of ``rows`` records."""
    name = "a cópia"
    if database.is_wal(part):
        raise database.Failure("CORROMPIDO", f"{name} não foi feita pelo backup (modo WAL); nada foi alterado.")
    try:
        with contextlib.closing(database.open_for_reading(part)) as connection:
            database.examine(connection, name)
            found = database.count(connection)
    except sqlite3.Error as error:
        raise database.explain(error, name, writing=False) from error
    if found != rows:
        raise database.Failure("CORROMPIDO", f"{name} tem {found} registros em vez de {rows}; nada foi alterado.")


@contextlib.contextmanager
def held(path: str, *, writable: bool) -> Iterator[tuple[sqlite3.Connection | None, bool, str]]:
    """Keep writers out of the database while it is compared and replaced.

    Yields:
        Its connection, or None if it is damaged or not there; whether it is damaged; its SHA-256, or ABSENT.
    """
    if os.path.isdir(path):
        raise database.Failure("CORROMPIDO", f"{path} é um diretório, não um banco de dados; nada foi alterado.")
    with contextlib.ExitStack() as stack:
        if not os.path.exists(path):
            yield None, False, ABSENT
            return
        # Closed last, for to close a file is to give up all locks on it: https://sqlite.org/howtocorrupt.html.
        file = stack.enter_context(open(path, "rb"))
        connection = None
        try:
            # What a killed writer left behind is rolled back while its journal is still there.
            opened = database.open_for_writing(path) if writable else database.open_for_reading(path)
            connection = stack.enter_context(contextlib.closing(opened))
            connection.execute("BEGIN EXCLUSIVE" if writable else "BEGIN")
            database.examine(connection, path)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise
            connection = None
        except database.Failure as failure:
            if failure.code != "CORROMPIDO":
                raise
            connection = None
        yield connection, connection is None, hashlib.file_digest(file, "sha256").hexdigest()


def compare(old: sqlite3.Connection, part: str) -> tuple[int, bool]:
    """Return how many records of any table a database holds, and whether it holds just what is in ``part``."""
    with contextlib.closing(database.open_for_reading(part)) as new:
        schemas = []
        for connection in (old, new):
            # Text is compared as it is stored, be it text or not.
            connection.text_factory = bytes
            schemas.append(connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall())
        tables = [name.decode().replace('"', '""') for kind, name, _ in schemas[0] if kind == b"table"]
        present = sum(old.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables)
        queries = [f'SELECT * FROM "{table}"' for table in tables]
        same = schemas[0] == schemas[1] and all(
            one == other
            for query in queries
            for one, other in itertools.zip_longest(old.execute(query), new.execute(query))
        )
        return present, same


def exchange(path: str, part: str, *, keep: bool) -> None:
    """Put ``part`` in the place of ``path`` so that whoever looks, also after a power cut, finds one of them, whole.

    Args:
        path: the database.
        part: what takes its place, in the same folder and on the disk already.
        keep: leave the old one, with its journal, beside the new one under another name.
    """
    aside = f"{path}.danificado-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    if os.path.exists(path):
        shutil.copymode(path, part)
    if keep:
        os.link(path, aside)
    for suffix in ("-journal", "-wal", "-shm"):
        # SQLite would take one that is left here for the new database's.
        if os.path.exists(path + suffix):
            os.rename(path + suffix, aside + suffix) if keep else os.remove(path + suffix)
    os.replace(part, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


if __name__ == "__main__":
    action, snapshot, rows, path, force, state = sys.argv[1:]
    replace = action == "replace"
    folder, name = os.path.split(path)
    # No database has a name that begins with a dot; and into a read-only volume nothing can be unpacked.
    part = f"{folder}/.{name}.restaurando" if replace else f"{snapshot}.db"
    try:
        result = restore(snapshot, int(rows), path, part, replace=replace, force=force == "true", state=state)
    except database.Failure as failure:
        failure.end()
    print(json.dumps(result))
