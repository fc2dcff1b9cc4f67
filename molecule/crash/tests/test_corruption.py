"""A file that is damaged, another's, or of another time ends in the right code and stays as it is."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from typing import Any

from shared.demo import Demo
from shared.engine import Engine
from shared.killed_writers import Figures, container
from shared.volumes import change

# A database with pages of every kind and some that are free; and copies of it, each damaged in one way.
MUTATE = """
import os, random, shutil, sqlite3, sys
count, random = int(sys.argv[1]), random.Random(0)
shutil.rmtree("/data/bad", ignore_errors=True)
os.mkdir("/data/bad")
whole = "/data/bad/00000 whole"
connection = sqlite3.connect(whole)
connection.execute("CREATE TABLE clientes (id INTEGER PRIMARY KEY, nome TEXT NOT NULL UNIQUE)")
names = [(f"Cliente {number * 7919 % 100_003:040}",) for number in range(6000)]
connection.executemany("INSERT INTO clientes (nome) VALUES (?)", names)
connection.execute("DELETE FROM clientes WHERE id > 4000")
connection.commit()
connection.close()
data = open(whole, "rb").read()
first = {0x0D: "leaf", 0x05: "interior", 0x0A: "index leaf", 0x02: "index interior"}
pages = {}
for page in range(1, len(data) // 4096):
    pages.setdefault(first.get(data[page * 4096], "free"), []).append(page * 4096)
assert len(pages) == 5, pages

def save(kind, content):
    open(f"/data/bad/{len(os.listdir('/data/bad')):05} {kind}", "wb").write(content)

def flip(start, end):
    changed = bytearray(data)
    for _ in range(random.choice((1, 2, 8))):
        changed[random.randrange(start, end)] ^= 1 << random.randrange(8)
    return changed

kinds = ["truncated", "header", *pages]
for number in range(count):
    kind = kinds[number % len(kinds)]
    if kind == "truncated":
        save(kind, data[:random.randrange(1, len(data))])
    else:
        start = 0 if kind == "header" else random.choice(pages[kind])
        save(kind, flip(start, start + (100 if kind == "header" else 4096)))

def make(kind, *statements):
    path = f"/data/bad/{len(os.listdir('/data/bad')):05} {kind}"
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return path

save("empty", b"")
save("text", b"nome\\nAlice\\n" * 1000)
save("header only", data[:100])
os.mkdir(f"/data/bad/{len(os.listdir('/data/bad')):05} directory")
make("foreign", "CREATE TABLE notes (text)", "INSERT INTO notes VALUES ('mine')")
make("other columns", "CREATE TABLE clientes (codigo TEXT)")
make("view", "CREATE VIEW clientes AS SELECT 1 AS id, 'Alice' AS nome")
old = "CREATE TABLE clientes (id INTEGER PRIMARY KEY, nome TEXT NOT NULL UNIQUE, email TEXT"
known = f"INSERT INTO clientes (nome) VALUES ('{names[0][0]}')"
make("newer schema", old + ")", known, "PRAGMA user_version = 2")
make("newer schema that wants more", old + " NOT NULL)")
make("WAL mode", "PRAGMA journal_mode = WAL", old + ")", known)
for kind, byte, value in (("newer schema format", 47, 9), ("newer write format", 18, 3), ("newer read format", 19, 3)):
    save(kind, data[:byte] + bytes([value]) + data[byte + 1 :])
"""

# What SQLite alone says of each file: the name of its error, or the rows. A writer's question is put to a copy.
ORACLE = """
import json, os, shutil, sqlite3
def ask(path, write):
    connection = sqlite3.connect(path if write else f"file:{path}?mode=ro", uri=not write, isolation_level=None)
    connection.text_factory = bytes
    try:
        if connection.execute("PRAGMA integrity_check").fetchall() != [(b"ok",)]:
            return "not intact"
        rows = connection.execute("SELECT id, nome FROM clientes ORDER BY id").fetchall()
        if write:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO clientes (nome) VALUES ('x')")
        return rows
    except sqlite3.Error as error:
        return f"{error.sqlite_errorname}: {error}"
    finally:
        connection.close()
answers = {}
for name in sorted(os.listdir("/data/bad")):
    path = f"/data/bad/{name}"
    if os.path.isfile(path):
        shutil.copy(path, "/tmp/copy")
        answers[name] = [ask(path, False), ask("/tmp/copy", True)]
        for left in os.listdir("/tmp"):
            os.remove("/tmp/" + left)
whole = answers["00000 whole"][0]
count = lambda answer: answer if isinstance(answer, str) else len(answer)
print(json.dumps({name: [count(read), count(write), read == whole] for name, (read, write) in answers.items()}))
"""

RUN = """
import hashlib, json, os, subprocess, sys
command, *names = sys.argv[1:]
def state(path):
    beside = [each for each in os.listdir("/data/bad") if each.startswith(os.path.basename(path))]
    return beside, os.path.isfile(path) and hashlib.sha256(open(path, "rb").read()).hexdigest()
ends = {}
for name in sorted(os.listdir("/data/bad")):
    path = f"/data/bad/{name}"
    before = state(path)
    form = ["--json"] if command == "reader" else []
    start = [sys.executable, "/app/__main__.py", command, *form, f"--database={path}", *names]
    end = subprocess.run(start, capture_output=True, text=True)
    ends[name] = [end.returncode, end.stdout.count("\\n"), end.stderr, state(path) == before]
print(json.dumps(ends))
"""

STATUS = {"SEM_BANCO": 3, "CORROMPIDO": 4, "RECUPERAR": 5}


def right(answer: str | int) -> str:
    """Return the code that the contract has for what SQLite says; none if it found nothing wrong."""
    if isinstance(answer, int):
        return ""
    name, _, words = answer.partition(": ")
    if name.startswith("SQLITE_CANTOPEN"):
        return "RECUPERAR"
    if name.startswith("SQLITE_CONSTRAINT") or (name == "SQLITE_ERROR" and "file format" not in words):
        return "SEM_BANCO"
    return "CORROMPIDO"


def ends(demo: Demo, command: str, *names: str) -> dict[str, tuple[int, int, str, bool]]:
    """Run a program on each file, all in one container; return status, lines, error, and whether all is as before."""
    mount = f"--volume={demo.volume}:/data{':ro' if command == 'reader' else ''}"
    start = [*container(demo, mount, entrypoint="python"), "-I", "-S", "-c", RUN, command, *names]
    found: dict[str, Any] = json.loads(subprocess.run(start, check=True, capture_output=True, text=True).stdout)
    return {name: tuple(end) for name, end in found.items()}


# What a writer makes a database of the demo of; all else stays as it is.
MADE_OURS = {"empty", "WAL mode"}


def test_every_mutation_ends_in_the_right_code_and_changes_nothing(
    engine: Engine, demo: Demo, rounds: int, figures: Figures
) -> None:
    count = max(200, rounds)
    change(engine, demo, f"import sys; sys.argv = ['', '{count}']\n{MUTATE}")
    mounts = [f"--volume={demo.volume}:/data:ro", "--tmpfs=/tmp"]
    base = engine.base(demo.image)
    answers = json.loads(engine.output("run", "--rm", "--init", *mounts, base, "python3", "-c", ORACLE))
    reader = ends(demo, "reader")
    writer = ends(demo, "writer", f"Cliente {0:040}")
    change(engine, demo, "import shutil; shutil.rmtree('/data/bad')")
    codes, unseen = Counter[str](), Counter[str]()
    for name in reader:
        reading, writing, same = answers.get(name, ("directory", "directory", False))
        expected = right(reading)
        assert_end(name, reader[name], expected)
        if name.partition(" ")[2] in MADE_OURS:
            assert writer[name][::2] == (0, ""), name
        else:
            assert_end(name, writer[name], right(writing))
        if not expected:
            assert reader[name][1] == reading, "the reader prints the rows that SQLite has"
        if name in list(reader)[1 : count + 1]:
            codes[expected] += 1
            unseen["with the same rows" if same else "with other rows"] += not expected
    figures.append(
        (
            "database damaged: cut, or bits flipped in header, table, index or free pages; other files in its place",
            f"{count} seeded mutations, {len(reader) - count - 1} other files",
            f"0 tracebacks, 0 wrong codes, each file byte for byte as before; {codes['CORROMPIDO']} are `CORROMPIDO`, "
            f"SQLite finds nothing wrong with {codes['']}: {unseen['with the same rows']} with the same rows, "
            f"{unseen['with other rows']} with other rows",
        )
    )
    assert reader["00000 whole"] == (0, 4000, "", True), "the negative control"
    assert codes["CORROMPIDO"] > count / 3


def assert_end(name: str, end: tuple[int, int, str, bool], code: str) -> None:
    """Assert that a program ended with a code, in one line, or well if there is none; and changed nothing.

    Where two fields of the header contradict each other, SQLite finds nothing wrong, and a writer sets them right.
    """
    status, _, stderr, unchanged = end
    assert status == STATUS.get(code, 0), (name, code, end)
    assert stderr.count("\n") == bool(code), (name, end)
    assert stderr.startswith(f"ERRO [{code}]: " if code else ""), (name, end)
    assert unchanged or (not code and name.endswith(" header")), name
