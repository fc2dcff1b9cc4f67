"""What is in a volume, written and read by containers that have none of the project's programs."""

from __future__ import annotations

import json

from shared.demo import Demo
from shared.engine import Engine

DEFAULT_ROWS = [[1, "Alice"], [2, "Bruno"], [3, "Carla"]]

FILL = """
import os, sqlite3, sys
for name in os.listdir("/data"):
    os.remove("/data/" + name)
connection = sqlite3.connect("/data/demo.db")
connection.execute("CREATE TABLE clientes (id INTEGER PRIMARY KEY, nome TEXT NOT NULL UNIQUE)")
connection.executemany("INSERT INTO clientes (nome) VALUES (?)", ((name,) for name in NAMES))
connection.commit()
"""

HASH_FILES = """
import hashlib, json, os
hashes = {name: hashlib.sha256(open("/data/" + name, "rb").read()).hexdigest() for name in os.listdir("/data")}
print(json.dumps(hashes))
"""

# A process that has written part of a transaction to the file is killed; its parent lives on to say so.
LEAVE_HOT_JOURNAL = """
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
DAMAGE_PAGE = """
with open("/data/demo.db", "r+b") as file:
    file.seek(4096)
    file.write(b"lixo" * 1024)
"""


def change(engine: Engine, demo: Demo, code: str) -> str:
    """Run ``code`` on the volume, as the user that owns it, in a container that has none of the project's programs."""
    mount = f"--volume={demo.volume}:/data"
    base = engine.base(demo.image)
    return engine.output("run", "--rm", "--init", "--user=10001:10001", mount, base, "python3", "-c", code)


def fill(engine: Engine, demo: Demo, names: str) -> None:
    """Leave nothing in the volume but a database of the names that the expression ``names`` gives."""
    change(engine, demo, FILL.replace("NAMES", names))


def file_hashes(engine: Engine, demo: Demo) -> dict[str, str]:
    """Return the hash of each file in the volume."""
    hashes: dict[str, str] = json.loads(engine.python(demo.image, demo.volume, HASH_FILES))
    return hashes
