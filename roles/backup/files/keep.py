"""Keep snapshots on the controller so that one is removed only where others are proven newer; for the role backup."""

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "oneshot/files"))
from plays import marks

SERIES = ("host", "engine", "volume", "database")  # what a manifest says that its snapshot is of
# What a file raises, or JSON in it, that is another than it should be.
FAULTS = (OSError, ValueError, LookupError, ArithmeticError, TypeError, AttributeError, RecursionError)


def begin(folder: str, series: str) -> dict[str, Any]:
    """Make a folder in ``folder`` for a snapshot on its way, and remove those that plays which have ended left there.

    Returns:
        ``part``: where to put the snapshot; ``after``: the highest number of those of the ``series`` that are there.
    """
    ours = series_of(json.loads(series))
    if len(f"{ours['volume']}@{ours['database']}".encode()) > 200:
        raise ValueError("the names of the volume and the database are too long, together, for that of a file")
    own, running = marks()
    machine = own.partition("-")[0]
    with locked(folder) as place:
        for left in place.glob(f".part-*.{machine}-*"):
            if left.suffix[1:] not in running:
                shutil.rmtree(left, ignore_errors=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", suffix=f".{own}", dir=place))
        numbers = (manifest["number"] for manifest in manifests(place).values() if series_of(manifest) == ours)
        return {"part": str(part / "snapshot.gz"), "after": max(numbers, default=0)}


def finish(part: str, folder: str, keep: str) -> dict[str, Any]:
    """Keep what arrived in ``part`` if it is what its manifest says, and of older ones only ``keep``; 0 keeps all.

    The manifest is on standard input: an argument of a program is at most 128 kB long.

    Returns:
        ``file``: the snapshot; ``number``: higher than that of all others of its database; ``removed``: snapshots.
    """
    said, path, surplus = json.load(sys.stdin), Path(part), int(keep)
    said.pop("changed", None)  # of the run, not of the snapshot
    ours = series_of(said)
    with locked(folder) as place:
        if path.parent.parent != place or not path.parent.name.startswith(".part-"):
            raise ValueError(f"{part} is not where begin said")
        try:
            if hash_of(path) != said["sha256"]:
                raise ValueError(f"the snapshot {path} was damaged on its way; run the backup again")
            others = [other for other in manifests(place).values() if all(other[k] == said[k] for k in SERIES[2:])]
            said["number"] = 1 + max(said["after"], *(other["number"] for other in others), 0)
            said["created"] = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
            written = path.with_name("manifest")
            written.write_text(json.dumps(said, indent=4) + "\n")
            # The manifest first: a snapshot without one could neither be put back nor be removed.
            for source, suffix in ((written, ".json"), (path, ".gz")):
                target = place / (name_of(said) + suffix)
                if os.path.lexists(target):
                    raise FileExistsError(f"{target} is there already")
                source.chmod(0o600)
                synchronize(source)
                source.rename(target)
            synchronize(place)
        finally:
            shutil.rmtree(path.parent, ignore_errors=True)
        return {"file": str(target), "number": said["number"], "removed": retain(place, ours, surplus)}


def verify(snapshot: str) -> dict[str, Any]:
    """Return the manifest of a kept ``snapshot`` that is whole; one of version 1.0.0 has no ``number``."""
    path = Path(snapshot)
    if path.suffix != ".gz" or not path.is_file():
        raise ValueError("is no snapshot: a file with the ending .gz and its manifest beside it")
    manifest = path.with_suffix(".json")
    try:
        if not manifest.is_file():
            raise ValueError  # a pipe would be waited for
        said: dict[str, Any] = json.loads(manifest.read_text())
        expected = said["sha256"]
    except FAULTS:
        raise ValueError(f"is no snapshot: its manifest {manifest} is missing or is none") from None
    if hash_of(path) != expected:
        raise ValueError("is damaged: it has another SHA-256 than its manifest says")
    return said


def retain(place: Path, ours: dict[str, Any], keep: int) -> list[str]:
    """Remove each snapshot of a series that had ended before ``keep`` others began which are kept and whole."""
    kept: list[dict[str, Any]] = []
    removed = []
    for name, said in sorted(manifests(place).items(), key=lambda item: -item[1]["number"]):
        # One that was given another name is its owner's.
        if series_of(said) != ours or name != name_of(said):
            continue
        snapshot = place / f"{name}.gz"
        newer = [place / f"{name_of(other)}.gz" for other in kept if said["number"] <= other["after"]]
        if 0 < keep <= len(newer) and keep <= sum(is_whole(path) for path in newer):
            snapshot.unlink(missing_ok=True)
            (place / f"{name}.json").unlink()
            removed += [str(snapshot)]
        elif snapshot.is_file() and not snapshot.is_symlink() and snapshot.stat().st_size == said["bytes"]:
            kept += [said]
    return removed


@functools.cache
def is_whole(snapshot: Path) -> bool:
    """Tell whether a snapshot has the SHA-256 that its manifest says."""
    with contextlib.suppress(*FAULTS):
        return bool(verify(str(snapshot)))
    return False


def manifests(place: Path) -> dict[str, dict[str, Any]]:
    """Return what manifests say that tell the order of their snapshots, by their names without the suffix."""
    found = {}
    for path in place.glob("*.json"):
        if path.is_symlink() or not path.is_file():
            continue
        with contextlib.suppress(*FAULTS):
            said = json.loads(path.read_text())
            series_of(said)
            if all(type(said[key]) is int for key in ("number", "after", "bytes")) and said["after"] < said["number"]:
                found[path.stem] = said
    return found


def series_of(said: dict[str, Any]) -> dict[str, Any]:
    """Return what a snapshot is of."""
    return {key: said[key] for key in SERIES}


def name_of(said: dict[str, Any]) -> str:
    """Return the name of a snapshot's files, without the suffix."""
    return f"{said['volume']}@{said['database']}@{said['number']:06}-{said.get('created')}".replace("/", "_")


@contextlib.contextmanager
def locked(folder: str) -> Iterator[Path]:
    """Make a folder that is its owner's alone, or see that it is, and keep other runs of this program out of it."""
    place = Path(os.path.abspath(folder))
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = place.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise ValueError(f"{place} is a link, or no folder; nothing is kept in it")
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise ValueError(f"{place} is not yours alone to write to: chown it to you and chmod go-w it")
    lock = os.open(place / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield place
    finally:
        os.close(lock)


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file; of a link to one, OSError."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def synchronize(path: Path) -> None:
    """Wait until a file, or the list of names that a folder is, is on the disk."""
    number = os.open(path, os.O_RDONLY)
    os.fsync(number)
    os.close(number)


if __name__ == "__main__":
    os.umask(0o077)
    commands: dict[str, Callable[..., dict[str, Any]]] = {"begin": begin, "finish": finish, "verify": verify}
    try:
        print(json.dumps(commands[sys.argv[1]](*sys.argv[2:])))
    except FAULTS as error:
        sys.exit(" ".join(str(error).split()))
