"""Prove a snapshot, compare it with the database in the volume, and put it in that one's place if asked to.

Prints what it found as one JSON object. Runs in the image, beside its module ``database``.
"""

import contextlib
import gzip
import itertools
import json
import os
import shutil
import sqlite3
import sys
import time
import zlib

import database


def restore(snapshot: str, rows: int, path: str, part: str, *, replace: bool, force: bool) -> dict[str, object]:
    """Prove the ``snapshot`` of ``rows`` records, and compare it with the database at ``path``.

    Args:
        snapshot: what the role backup wrote.
        rows: how many records its manifest says that it holds.
        path: the database, which need not be there.
        part: where to unpack; in the folder of ``path`` if ``replace``.
        replace: put the snapshot in the place of the database if they differ.
        force: even if that one holds records, or is damaged.

    Returns:
        ``present``: how many records the database held; ``damaged``: that it could not be read; ``same``: that it
        holds what the snapshot does; ``replaced``: that the snapshot has taken its place.

    Raises:
        database.Failure: the database is as it was; the code says why.
    """
    try:
        unpack(snapshot, part)
        prove(part, rows)
        present, damaged, same = compare(path, part, writable=replace)
        replaced = replace and not same and (force or not (present or damaged))
        if replaced:
            exchange(path, part, keep=damaged)
    except OSError as error:
        message = f"{path} não pode ser gravado ({error.strerror}); ficou como estava."
        raise database.Failure("SEM_ESPACO", message) from error
    finally:
        with contextlib.suppress(OSError):
            os.remove(part)
    return {"present": present, "damaged": damaged, "same": same, "replaced": replaced}


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
    try:
        with contextlib.closing(database.open_for_reading(part)) as connection:
            database.examine(connection, name)
            found = database.count(connection)
    except sqlite3.Error as error:
        raise database.explain(error, name, writing=False) from error
    if found != rows:
        raise database.Failure("CORROMPIDO", f"a cópia tem {found} registros em vez de {rows}; nada foi alterado.")


def compare(path: str, part: str, *, writable: bool) -> tuple[int, bool, bool]:
    """Return how many records the database holds, whether it is damaged, and whether it is what is in ``part``."""
    if not os.path.exists(path):
        return 0, False, False
    try:
        # What a killed writer left behind is rolled back while its journal is still there.
        opening = database.open_for_writing if writable else database.open_for_reading
        with contextlib.closing(opening(path)) as old, contextlib.closing(database.open_for_reading(part)) as new:
            database.examine(old, path)
            if not old.execute("SELECT 1 FROM sqlite_schema").fetchone():
                return 0, False, False
            lines = itertools.zip_longest(old.iterdump(), new.iterdump())
            return database.count(old), False, all(one == other for one, other in lines)
    except sqlite3.Error as error:
        failure = database.explain(error, path, writing=writable)
    except database.Failure as caught:
        failure = caught
    if failure.code != "CORROMPIDO":
        raise failure
    return 0, True, False


def exchange(path: str, part: str, *, keep: bool) -> None:
    """Put ``part`` in the place of ``path`` so that whoever looks, also after a power cut, finds one of them, whole.

    Args:
        path: the database.
        part: what takes its place, in the same folder and on the disk already.
        keep: leave the old one, with its journal, beside the new one under another name.
    """
    aside = f"{path}.danificado-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
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
    action, snapshot, rows, path, force = sys.argv[1:]
    # What a read-only volume cannot take is unpacked beside the snapshot.
    part = f"{path}.restaurando" if action == "replace" else f"{snapshot}.db"
    try:
        print(json.dumps(restore(snapshot, int(rows), path, part, replace=action == "replace", force=force == "true")))
    except database.Failure as failure:
        failure.end()
