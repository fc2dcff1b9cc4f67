"""Take, describe, check and put back snapshots of any SQLite database; the roles backup and restore run it.

It runs as ``python3 -c TEXT COMMAND ...`` in the container of an image that has Python 3.9 or newer and nothing of this
project. The last line on standard output is one JSON object; an error is one line on standard error.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gzip
import hashlib
import json
import os
import sqlite3
import stat
import sys
import time
import urllib.parse
import zlib
from collections.abc import Iterator
from typing import IO, Any, Callable

WAIT = 60.0  # seconds to wait for a writer, which may lock all readers out while a large batch is written
UNPACKED = (EOFError, gzip.BadGzipFile, zlib.error)  # what a snapshot raises that is none
PARSED = (ValueError, LookupError, ArithmeticError, TypeError, AttributeError, RecursionError)  # and a manifest
FILES = ("", "-journal", "-wal", "-shm")  # a database and what SQLite keeps beside it

# Bytes of https://sqlite.org/fileformat.html that say when and by which version a file was written, and how long it is
# (which the file says itself), not what it holds: journal mode; change counter and size; schema cookie; versions.
UNSTABLE = ((18, 20), (24, 32), (40, 44), (92, 100))

# Each code of an error: the exit status, the numbers of the system that it stands for, and what is said of a file.
CODES: dict[str, tuple[int, set[int], str]] = {
    "USAGE": (2, set(), f"cannot be used here, by SQLite {sqlite3.sqlite_version}"),
    "NO_DATABASE": (3, {errno.ENOENT, errno.ENOTDIR}, "does not exist; run what writes it first"),
    "DAMAGED": (4, {errno.EIO}, "is no intact SQLite database, and was left as it is; use or restore another"),
    "RECOVER": (5, set(), "has a change that a read-only mount cannot complete; run its writer and let it end"),
    "BUSY": (6, {errno.EAGAIN}, "is in use by another process; try again"),
    "NO_SPACE": (7, {errno.ENOSPC, errno.EDQUOT}, "cannot be written; free space there"),
    "NO_PERMISSION": (8, {errno.EACCES, errno.EPERM, errno.EROFS}, f"refuses user {os.getuid()}; give it the right"),
}
# How messages of SQLite begin, and the code where they are about reading and about writing; any other is DAMAGED.
REPORTS = (
    (("database is locked", "database table is locked", "locking protocol"), "BUSY", "BUSY"),
    (("database or disk is full",), "NO_SPACE", "NO_SPACE"),
    (("disk I/O error",), "DAMAGED", "NO_SPACE"),
    (("attempt to write a readonly database",), "RECOVER", "NO_PERMISSION"),
    (("unable to open database file",), "RECOVER", "NO_SPACE"),
    (("no such", "unknown function"), "USAGE", "USAGE"),
)


class Failure(Exception):
    """An end that the user can act upon: a key of CODES, what happened, and what to do."""

    def __init__(self, code: str, message: str, name: str = "") -> None:
        super().__init__(f"{name} {CODES[code][2]} ({message})" if name else message)
        self.code = code


def take(path: str, output: str) -> dict[str, Any]:
    """Leave a compressed copy of one committed state of the database at ``path`` in the file ``output``."""
    copy = output + ".db"
    try:
        create(copy).close()
        with opened(path) as (source, _), contextlib.closing(connect(copy, "mode=rw")) as target:
            # All pages are those of the one state that is read here first.
            source.execute("BEGIN")
            (pages,) = source.execute("PRAGMA page_count").fetchone()
            with explained(path, copy):
                # One without a page would become one with a page.
                if pages:
                    source.backup(target)
                # A database in WAL mode could not be opened on a read-only mount.
                target.execute("PRAGMA journal_mode = DELETE")
        tables = examine_alone(copy, path)
        # The folder around it says who may read it; a user of another number fetches it.
        with open(copy, "rb") as file, create(output, 0o644) as packed, gzip.GzipFile("", "wb", 1, packed, 0) as packer:
            content, _, size = stream(file.read, packer.write)
        with open(output, "rb") as file:
            _, sha256, written = stream(file.read)
    except BaseException:
        remove(output)
        raise
    finally:
        remove(copy)
    file_said = {"bytes": written, "sha256": sha256, "database_bytes": size}
    return {"changed": False, **said_of(tables, content), **file_said}


def describe(path: str) -> dict[str, Any]:
    """Say what the database at ``path`` holds, and which ``others`` lie beside it; change nothing."""
    need_file(path)
    folder, name = os.path.split(os.path.abspath(path))
    with held(path) as (tables, content, _, damage):
        if damage:
            raise damage
        others = sorted({*os.listdir(folder)} - {"lost+found", *(name + suffix for suffix in FILES)})
        return {"changed": False, **said_of(tables, content), "others": others}


def check(snapshot: str, manifest: str, path: str, scratch: str) -> dict[str, Any]:
    """Prove a snapshot, unpacked in the folder ``scratch``, and compare it with the database at ``path``."""
    return replace(snapshot, manifest, path, "false", "", scratch=scratch)


def replace(
    snapshot: str, manifest: str, path: str, force: str, state: str, *, scratch: str | None = None
) -> dict[str, Any]:
    """Prove a snapshot, and put it in the place of the database at ``path``, which need not be there, if they differ.

    Args:
        snapshot: what ``take`` wrote.
        manifest: JSON of what ``take`` said of it.
        path: the database.
        force: ``true``: even if that one holds rows, or is damaged.
        state: what an earlier ``check`` found; nothing else is replaced. Empty: anything is.
        scratch: only compare, and unpack in this folder.
    """
    path = os.path.realpath(path)  # a link stays one
    folder, name = os.path.split(path)
    part = os.path.join(folder, f".{name}.restoring") if scratch is None else os.path.join(scratch, "snapshot.db")
    try:
        rows, content = unpack(snapshot, manifest, part)
        with held(path, writable=scratch is None) as (tables, present_content, sha256, damage):
            present, same = sum(tables.values()), present_content == content
            replaced = scratch is None and not same and (force == "true" or not (present or damage))
            if replaced and state not in ("", sha256):
                raise Failure("BUSY", f"{path} has changed since it was looked at; it was left as it is. Try again")
            if replaced:
                exchange(path, part, keep=damage is not None)
    finally:
        remove(part)
    place = {"present": present, "damaged": damage is not None, "same": same, "state": sha256}
    return {"changed": replaced, "replaced": replaced, "rows": rows, **place}


def said_of(tables: dict[str, int], content: str) -> dict[str, Any]:
    """Return what is said of each database."""
    return {"sqlite": sqlite3.sqlite_version, "tables": tables, "rows": sum(tables.values()), "content": content}


def stream(
    read: Callable[[int], bytes], write: Callable[[bytes], Any] = len, bound: int = sys.maxsize, end: int = sys.maxsize
) -> tuple[str, str, int]:
    """Hand all of a file to ``write``, and no more than ``bound`` bytes of it.

    Returns:
        ``content``: the SHA-256 of what it holds, as far as ``end``, without UNSTABLE; its SHA-256; its size.
    """
    content, whole, size = hashlib.sha256(), hashlib.sha256(), 0
    for block in iter(lambda: read(1 << 20), b""):
        if size + len(block) > bound:
            raise Failure("DAMAGED", f"the snapshot unpacks to more than the {bound} bytes that it should; left alone")
        write(block)
        whole.update(block)
        stable = bytearray(block[: max(0, end - size)])
        for first, last in UNSTABLE if not size else ():
            stable[first:last] = bytes(len(stable[first:last]))
        content.update(stable)
        size += len(block)
    return content.hexdigest(), whole.hexdigest(), size


def create(path: str, mode: int = 0o600) -> IO[bytes]:
    """Make a new file in the place of what an earlier run left; a link there is never written through."""
    for suffix in FILES:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path + suffix)
    return open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_RDWR, mode), "w+b")


def remove(path: str) -> None:
    """Remove a file, and what SQLite keeps beside it; none need be there."""
    for suffix in FILES:
        with contextlib.suppress(OSError):
            os.remove(path + suffix)


def is_there(path: str) -> bool:
    """Tell whether there is something; where that may not be asked, OSError says so."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.stat(path)
        return True
    return False


def need_file(path: str) -> None:
    """See that a file, and what SQLite would open beside it, is none that is waited for for ever, such as a pipe."""
    for name in (path + suffix for suffix in FILES):
        if is_there(name) and not stat.S_ISREG(os.stat(name).st_mode):
            raise Failure("DAMAGED", "a folder, pipe, socket or device, no file", name)
    if not is_there(path):
        raise Failure("NO_DATABASE", "nothing of that name", path)


def connect(path: str, options: str) -> sqlite3.Connection:
    """Open an existing database; see https://sqlite.org/uri.html for the options."""
    uri = f"file:{urllib.parse.quote(os.fsencode(path))}?{options}"
    connection = sqlite3.connect(uri, uri=True, timeout=WAIT, isolation_level=None)
    # A read-only root leaves SQLite no place for temporary files.
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def exchange(path: str, part: str, *, keep: bool) -> None:
    """Put ``part`` in the place of ``path`` so that whoever looks, also after a power cut, finds one of them, whole.

    ``part`` is in the same folder, and on the disk already. If ``keep``, the old one and its journal get another name.
    """
    aside = f"{path}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    os.chmod(part, stat.S_IMODE(os.stat(path).st_mode) if is_there(path) else 0o644)
    if keep:
        os.link(path, aside)
    for suffix in FILES[1:]:
        # SQLite would take one that is left here for the new database's.
        if os.path.lexists(path + suffix):
            os.rename(path + suffix, aside + suffix) if keep else os.remove(path + suffix)
    os.replace(part, path)
    folder = os.open(os.path.dirname(part), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


@contextlib.contextmanager
def opened(path: str, *, writable: bool = False) -> Iterator[tuple[sqlite3.Connection, IO[bytes]]]:
    """Open a database, and its file."""
    need_file(path)
    # The file is closed last, for to close it gives up all locks on it: https://sqlite.org/howtocorrupt.html.
    with open(path, "r+b" if writable else "rb") as file:
        options = "mode=rw" if writable else "mode=ro"
        # From a read-only mount a database in WAL mode that nobody has open can only be read as one that never changes.
        # It does not change while there is no -wal: who writes makes one first, and cannot remove it against this lock,
        # which all readers have (SHARED_FIRST of SQLite's os.h).
        journals = (path + "-journal", path + "-wal")
        closed = not writable and is_wal(file) and not any(map(is_there, journals))
        if closed:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, 510, 0x40000002)
            options += "&immutable=1"
        with explained(path, path if writable else ""), contextlib.closing(connect(path, options)) as connection:
            yield connection, file
            if closed and any(map(is_there, journals)):
                raise Failure("BUSY", "somebody began to write", path)


@contextlib.contextmanager
def held(path: str, *, writable: bool = False) -> Iterator[tuple[dict[str, int], str, str, Failure | None]]:
    """Look at a database, and keep writers out of its file until the end.

    If ``writable``, what a killed writer left behind is rolled back, or brought in, first.

    Yields:
        Rows of each table; ``content``; SHA-256 of the file, ``absent`` if there is none; what damages it.
    """
    if not is_there(path):
        yield {}, "", "absent", None
        return
    with opened(path, writable=writable) as (connection, file):
        tables, end, damage = {}, sys.maxsize, None
        try:
            with explained(path, path if writable else ""):
                if writable:
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                connection.execute("BEGIN EXCLUSIVE" if writable else "BEGIN")
                tables = examine(connection, path)
                size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
                (end,) = connection.execute(size).fetchone()
        except Failure as failure:
            if failure.code != "DAMAGED":
                raise
            damage = failure
        if not damage and is_there(path + "-wal") and os.path.getsize(path + "-wal"):
            raise Failure("BUSY" if writable else "RECOVER", f"{path}-wal is not empty", path)
        content, sha256, _ = stream(file.read, end=end)
        yield tables, content, sha256, damage


def is_wal(file: IO[bytes]) -> bool:
    """Tell whether a database's file says that it is in WAL mode."""
    return os.pread(file.fileno(), 1, 18) == b"\2"


def unpack(snapshot: str, manifest: str, part: str) -> tuple[int, str]:
    """Decompress a snapshot to the disk itself, and prove that it is what its manifest says; return rows and content.

    A manifest of version 1.0.0 has only ``rows``.
    """
    need_file(snapshot)
    try:
        said = json.loads(manifest)
        size = int(said.get("database_bytes", sys.maxsize))
        with gzip.open(snapshot) as packed, create(part) as file:
            content, _, _ = stream(packed.read, file.write, size)
            file.flush()
            os.fsync(file.fileno())
            if is_wal(file):
                raise ValueError("it is in WAL mode, as no snapshot is")
        tables = examine_alone(part, "the snapshot")
        rows = sum(tables.values())
        if (rows, tables, content) != (said["rows"], said.get("tables", tables), said.get("content", content)):
            message = f"is not what its manifest says: it has {rows} rows, the manifest {said['rows']}"
            raise Failure("DAMAGED", f"the snapshot {message}; nothing was changed")
    except (*UNPACKED, *PARSED) as error:
        message = f"the snapshot or its manifest is damaged ({error}); nothing was changed"
        raise Failure("DAMAGED", message) from error
    return rows, content


def examine_alone(path: str, name: str) -> dict[str, int]:
    """Do what ``examine`` does with a file that nobody else uses, and that a read-only mount can serve."""
    with explained(name), contextlib.closing(connect(path, "mode=ro&immutable=1")) as connection:
        return examine(connection, name)


def examine(connection: sqlite3.Connection, name: str) -> dict[str, int]:
    """See that a database is intact, and count the rows of each table.

    SQLite's own tables hold no rows of a user's; nor does a virtual table, whose module this SQLite may lack: it has no
    root page, and its rows are in other tables.
    """
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise Failure("DAMAGED", str(verdict), name)
    count = "SELECT name, printf('SELECT count(*) FROM main.\"%w\"', name) FROM sqlite_master"
    tables = connection.execute(
        f"{count} WHERE type = 'table' AND rootpage AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
    ).fetchall()
    return {name: connection.execute(query).fetchone()[0] for name, query in tables}


@contextlib.contextmanager
def explained(path: str, written: str = "") -> Iterator[None]:
    """Give what SQLite reports of the database at ``path``, or of the file ``written``, its code.

    SQLite never translates its messages (https://sqlite.org/rescode.html); Python has the numbers only from 3.11 on.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = next((codes[bool(written)] for words, *codes in REPORTS if str(error).startswith(words)), "DAMAGED")
        if str(error).startswith("unable to open"):
            # It is there: what cannot be opened is it, or what is beside it.
            files = [os.path.dirname(os.path.abspath(written))] if written else [path + suffix for suffix in FILES]
            allowed = all(os.access(file, os.W_OK if written else os.R_OK) for file in files if is_there(file))
            code = code if allowed else "NO_PERMISSION"
        raise Failure(code, str(error), written or path) from error


def main(arguments: list[str]) -> None:
    """Run one command, print its result, or its error and end with the status of that."""
    commands = {function.__name__: function for function in (take, describe, check, replace)}
    try:
        function = commands.get(arguments[0]) if arguments else None
        if not function or function.__code__.co_argcount != len(arguments) - 1:
            raise Failure("USAGE", f"the first argument is one of {', '.join(commands)}; see the text of the program")
        print(json.dumps(function(*arguments[1:])))
        return
    except Failure as failure:
        end = failure
    except MemoryError:
        end = Failure("NO_SPACE", "there is not enough memory; give the container more")
    except OSError as error:
        code = next((code for code, (_, numbers, _) in CODES.items() if error.errno in numbers), "USAGE")
        end = Failure(code, str(error.strerror), error.filename or "the folder that is written to")
    # What is stored can be in a message, and is no line of its own.
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(end))
    print(f"ERROR [{end.code}]: {line}", file=sys.stderr)
    sys.exit(CODES[end.code][0])


if __name__ == "__main__":
    main(sys.argv[1:])
