"""What is in a volume, set and seen by independent containers; and what is in a snapshot of it."""

from __future__ import annotations

import gzip
import hashlib
import json
import shlex
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

from outside import REPOSITORY, Demo, Engine

THREE = [[1, "Alice"], [2, "Bruno"], [3, "Carla"]]

FILL = """
import os, sqlite3, sys
for name in os.listdir("/data"):
    os.remove("/data/" + name)
connection = sqlite3.connect("/data/demo.db")
connection.execute("CREATE TABLE clientes (id INTEGER PRIMARY KEY, nome TEXT NOT NULL UNIQUE)")
connection.executemany("INSERT INTO clientes (nome) VALUES (?)", ((name,) for name in NAMES))
connection.commit()
"""

LOOK = """
import hashlib, json, os
hashes = {name: hashlib.sha256(open("/data/" + name, "rb").read()).hexdigest() for name in os.listdir("/data")}
print(json.dumps(hashes))
"""

# A process that has written part of a transaction to the file is killed; its parent lives on to say so.
KILLED = """
import os, signal, sqlite3
if os.fork() == 0:
    connection = sqlite3.connect("/data/demo.db", isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO clientes (nome) VALUES (?)", ((f"x{i:0500}",) for i in range(1000)))
    os.kill(os.getpid(), signal.SIGKILL)
_, status = os.wait()
assert os.WTERMSIG(status) == 9 and os.path.getsize("/data/demo.db-journal") > 0
"""

# A page of the file is another's.
DAMAGED = """
with open("/data/demo.db", "r+b") as file:
    file.seek(4096)
    file.write(b"lixo" * 1024)
"""

# Options of a container in which many programs run one after the other: what one has compiled the next need not.
COMPILED = ["--tmpfs=/tmp", "--env=PYTHONPYCACHEPREFIX=/tmp"]


def change(engine: Engine, demo: Demo, code: str) -> str:
    """Run ``code`` on the volume, as the user that owns it, in a container that has none of the project's programs."""
    mount = f"--volume={demo.volume}:/data"
    base = engine.base(demo.image)
    return engine.output("run", "--rm", "--init", "--user=10001:10001", mount, base, "python3", "-c", code)


def fill(engine: Engine, demo: Demo, names: str) -> None:
    """Leave nothing in the volume but a database of the names that the expression ``names`` gives."""
    change(engine, demo, FILL.replace("NAMES", names))


def content(engine: Engine, demo: Demo) -> dict[str, str]:
    """Return the hash of each file in the volume."""
    hashes: dict[str, str] = json.loads(engine.python(demo.image, demo.volume, LOOK))
    return hashes


def script(demo: Demo, role: str, *arguments: str, options: tuple[str, ...] = ()) -> list[str]:
    """Return the engine's command that runs the program of a role as the role does."""
    (program,) = (path for path in (REPOSITORY / "roles" / role / "files").glob("*.py") if path.name != "rename.py")
    hardening = ["--network=none", "--read-only", "--cap-drop=ALL", "--memory=128m", "--workdir=/app"]
    start = ["docker", "run", "--rm", "--init", *hardening, *options, "--entrypoint=python", demo.image]
    return [*start, "-S", "-c", program.read_text(), *arguments]


def repeatedly(command: list[str], times: int) -> list[str]:
    """Return what runs the program of ``script`` so many times in one container, NUMBER in its arguments from 1 on."""
    cut = command.index("--entrypoint=python")
    program = " ".join(shlex.quote(word) for word in ["python", *command[cut + 2 :]]).replace("NUMBER", "$number")
    loop = f"for number in $(seq {times}); do {program} || exit; done"
    return [*command[:cut], *COMPILED, "--entrypoint=sh", command[cut + 1], "-c", loop]


def carry(snapshot: Path, folder: Path) -> str:
    """Copy a snapshot to where the container of a restore finds it; return the engine's option that mounts it there."""
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in").chmod(0o777)
    shutil.copy(snapshot, folder / "in/snapshot.gz")
    return f"--volume={folder}/in:/snapshot"


def backups(folder: Path) -> list[Path]:
    """Return the snapshots in the folder of this host, oldest first."""
    return sorted((folder / "localhost").glob("*.gz"))


def manifest(snapshot: Path) -> dict[str, Any]:
    """Return what the manifest beside a snapshot says."""
    words: dict[str, Any] = json.loads(snapshot.with_suffix(".json").read_text())
    return words


def sign(snapshot: Path, rows: int) -> None:
    """Make the manifest beside a file agree with it, as one would who tampers with both."""
    digest = hashlib.sha256(snapshot.read_bytes()).hexdigest()
    snapshot.with_suffix(".json").write_text(json.dumps({"rows": rows, "sha256": digest}))


def rows(snapshot: Path) -> list[list[Any]]:
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


def works(result: subprocess.CompletedProcess[str]) -> str:
    """Return what a play that must work said."""
    assert result.returncode == 0, result.stdout
    return result.stdout
