"""A snapshot is one committed state of any database, proven before it counts; one line says why there is none."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

PROGRAM = (Path(__file__).parents[1] / "roles/backup/files/snapshot.py").read_text()
# Another Python, to see that the program runs on it.
PYTHON = os.environ.get("SNAPSHOT_PYTHON", sys.executable)
STATUS = {"USAGE": 2, "NO_DATABASE": 3, "DAMAGED": 4, "RECOVER": 5, "BUSY": 6, "NO_SPACE": 7, "NO_PERMISSION": 8}
UNPRIVILEGED = ("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user, or mounts")


def start(*arguments: object, program: str = PROGRAM, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*before, PYTHON, "-S", "-c", program, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def result(*arguments: object, before: tuple[str, ...] = ()) -> dict[str, Any]:
    process = start(*arguments, before=before)
    assert (process.returncode, process.stderr) == (0, "")
    value: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return value


def refusal(code: str, *arguments: object, program: str = PROGRAM, before: tuple[str, ...] = ()) -> str:
    process = start(*arguments, program=program, before=before)
    assert (process.returncode, process.stdout) == (STATUS[code], ""), process.stderr
    assert process.stderr.startswith(f"ERROR [{code}]: ")
    assert process.stderr.count("\n") == 1
    return process.stderr


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def rows(path: Path) -> list[Any]:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    found = connection.execute("SELECT * FROM t").fetchall()
    connection.close()
    return found


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def take(path: Path, output: Path) -> str:
    """Take a snapshot, and return its manifest."""
    return json.dumps(result("take", path, output))


def old(manifest: str) -> str:
    """Return a manifest as version 1.0.0 wrote it."""
    said = json.loads(manifest)
    return json.dumps({key: said[key] for key in ("rows", "sha256", "bytes", "sqlite")})


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "volume").mkdir()
    return tmp_path / "volume"


@pytest.fixture
def database(volume: Path) -> Path:
    """A database of two rows."""
    path = volume / "my %?# app.db"
    execute(path, "CREATE TABLE t (x)", "INSERT INTO t VALUES ('Alice'), (2)")
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out/snapshot.gz"


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def test_snapshot_is_the_database_and_its_manifest_says_so(database: Path, output: Path) -> None:
    before = tree(database.parent)
    said = result("take", database, output)
    packed = output.read_bytes()
    assert gzip.decompress(packed)[100:] == before[database.name][100:]
    assert packed[4:8] == bytes(4), "the time in it is 0"
    content = said.pop("content")
    assert said == {
        "changed": False,
        "sqlite": said["sqlite"],
        "tables": {"t": 2},
        "rows": 2,
        "bytes": len(packed),
        "sha256": hashlib.sha256(packed).hexdigest(),
        "database_bytes": len(before[database.name]),
    }
    assert result("describe", database) == {
        "changed": False,
        "sqlite": said["sqlite"],
        "tables": {"t": 2},
        "rows": 2,
        "content": content,
        "others": [],
    }
    assert tree(database.parent) == before
    assert set(tree(output.parent)) == {output.name}
    assert result("take", database, output)["sha256"] == said["sha256"]


SHAPES = {
    "quoted": ('CREATE TABLE "we""ird [t]; --" ("id", x)', """INSERT INTO "we""ird [t]; --" VALUES (1, 2), (1, 2)"""),
    "unicode": ('CREATE TABLE "ação\u202e" (x)', 'INSERT INTO "ação\u202e" VALUES (1)'),
    "without_rowid": ("CREATE TABLE w (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID", "INSERT INTO w VALUES (1, 2)"),
    "sequence": ("CREATE TABLE s (id INTEGER PRIMARY KEY AUTOINCREMENT)", "INSERT INTO s VALUES (7)"),
    "view": ("CREATE TABLE t (x)", "CREATE VIEW v AS SELECT * FROM nowhere"),
    "fts": ("CREATE VIRTUAL TABLE f USING fts5(body)", "INSERT INTO f VALUES ('word')"),
    "page_size": ("PRAGMA page_size = 512", "CREATE TABLE t (x)", "INSERT INTO t VALUES (zeroblob(100000))"),
    "vacuum": ("PRAGMA auto_vacuum = FULL", "CREATE TABLE t (x)", "CREATE TABLE u (x)", "DROP TABLE t"),
    "free": ("CREATE TABLE t (x)", "INSERT INTO t VALUES (zeroblob(100000))", "DELETE FROM t"),
    "utf16": ("PRAGMA encoding = 'UTF-16'", "CREATE TABLE t (x)", "INSERT INTO t VALUES ('é')"),
    "analyzed": ("CREATE TABLE t (x)", "CREATE INDEX i ON t (x)", "INSERT INTO t VALUES (1)", "ANALYZE"),
    "wal": ("PRAGMA journal_mode = WAL", "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)"),
    "version": ("PRAGMA user_version = 7", "PRAGMA application_id = 8"),
    "empty": (),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_any_database_is_taken_described_checked_and_put_back(
    volume: Path, output: Path, scratch: Path, shape: str
) -> None:
    path, other = volume / "app.db", volume / "other.db"
    execute(path, *SHAPES[shape])
    path.touch()
    before = tree(volume)
    manifest = take(path, output)
    said = json.loads(manifest)
    assert result("describe", path)["content"] == said["content"]
    found = result("check", output, manifest, path, scratch)
    assert (found["changed"], found["replaced"]) == (False, False)
    assert (found["same"], found["damaged"], found["rows"], found["present"]) == (True, False, *[said["rows"]] * 2)
    assert tree(volume) == before
    replaced = result("replace", output, manifest, other, "false", "")
    assert (replaced["replaced"], replaced["state"], replaced["present"]) == (True, "absent", 0)
    assert {key: result("describe", other)[key] for key in ("content", "tables")} == {
        key: said[key] for key in ("content", "tables")
    }
    assert result("replace", output, manifest, other, "true", "")["changed"] is False
    assert set(tree(volume)) == {"app.db", "other.db"}
    assert list(scratch.iterdir()) == []


def test_rows_of_every_table_are_counted(volume: Path) -> None:
    path = volume / "app.db"
    execute(path, *SHAPES["quoted"], *SHAPES["without_rowid"], *SHAPES["sequence"], *SHAPES["view"])
    found = result("describe", path)
    assert found["tables"] == {'we"ird [t]; --': 2, "w": 1, "s": 1, "t": 0}
    assert found["rows"] == 4


def test_virtual_table_whose_module_is_not_there_is_no_hindrance(database: Path, output: Path, scratch: Path) -> None:
    execute(
        database,
        "PRAGMA writable_schema = ON",
        "INSERT INTO sqlite_master VALUES ('table', 'far', 'far', 0, 'CREATE VIRTUAL TABLE far USING elsewhere(x)')",
    )
    manifest = take(database, output)
    assert json.loads(manifest)["tables"] == {"t": 2}
    assert result("check", output, manifest, database, scratch)["same"]


DIFFERENT = ["'Alice'", "x'416c696365'", "1", "1.0", "'1'", "NULL", "-0.0", "zeroblob(5)"]


def test_what_is_of_another_type_is_not_the_same(volume: Path, output: Path, scratch: Path) -> None:
    manifests = []
    for number, value in enumerate(DIFFERENT):
        execute(volume / f"{number}.db", "CREATE TABLE t (x)", f"INSERT INTO t VALUES ({value})")
        manifests.append(take(volume / f"{number}.db", output.with_name(str(number))))
    assert len({json.loads(manifest)["content"] for manifest in manifests}) == len(DIFFERENT)
    for one, other in ((0, 1), (2, 3)):
        found = result("check", output.with_name(str(one)), manifests[one], volume / f"{other}.db", scratch)
        assert not found["same"]


@pytest.mark.parametrize(
    "statement", ["PRAGMA user_version = 7", "PRAGMA application_id = 7", "CREATE INDEX i ON t(x)"]
)
def test_what_says_more_than_rows_is_not_the_same(database: Path, statement: str) -> None:
    before = result("describe", database)["content"]
    execute(database, statement)
    assert result("describe", database)["content"] != before


def test_when_it_was_written_and_in_which_mode_is_the_same(database: Path) -> None:
    before, data = result("describe", database)["content"], database.read_bytes()
    execute(database, "PRAGMA journal_mode = WAL")
    assert database.read_bytes() != data
    assert result("describe", database)["content"] == before


VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | st.binary()


@settings(max_examples=15, deadline=None)
@given(values=st.lists(VALUES, max_size=20))
def test_values_of_any_kind_come_back(tmp_path_factory: pytest.TempPathFactory, values: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("values")
    with sqlite3.connect(folder / "a.db") as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values if value != "\udcff"])
    connection.close()
    manifest = take(folder / "a.db", folder / "a.gz")
    assert result("replace", folder / "a.gz", manifest, folder / "b.db", "false", "")["replaced"]
    assert repr(rows(folder / "b.db")) == repr(rows(folder / "a.db"))
    assert result("describe", folder / "b.db")["content"] == json.loads(manifest)["content"]


def test_live_database_in_wal_mode(database: Path, output: Path) -> None:
    execute(database, "PRAGMA journal_mode = WAL")
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("INSERT INTO t VALUES (3)")
    assert result("take", database, output)["rows"] == 3
    # What is in the file is not all: who has no place to put it together says so.
    assert "-wal is not empty" in refusal("RECOVER", "describe", database)
    content = result("take", database, output)["content"]
    writer.close()
    assert result("describe", database)["content"] == content
    assert not Path(f"{database}-wal").exists()


SPYING = """
def examine(*words, examine=examine):
    os.close(os.open(SPY, os.O_CREAT))
    return examine(*words)
"""


def test_database_in_wal_mode_that_somebody_begins_to_use_is_refused(database: Path) -> None:
    execute(database, "PRAGMA journal_mode = WAL")
    spying = SPYING.replace("SPY", repr(f"{database}-wal"))
    refusal("BUSY", "describe", database, program=PROGRAM.replace("\ndef main", f"{spying}\n\ndef main"))


WRITE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=30)
connection.execute("INSERT INTO t VALUES (3)")
connection.commit()
"""


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_nobody_writes_to_the_file_while_it_is_described(database: Path, mode: str) -> None:
    execute(database, f"PRAGMA journal_mode = {mode}")
    before = database.read_bytes()
    # A writer that begins in the middle: the file stays as it was until it has been read.
    middle = f"""
def stream(*words, stream=stream, **others):
    import subprocess
    global writer
    writer = subprocess.Popen([sys.executable, "-c", {WRITE!r}, {str(database)!r}])
    time.sleep(1)
    assert writer.poll() is None or {mode == "WAL"}
    assert open({str(database)!r}, "rb").read() == {before!r}
    return stream(*words, **others)
"""
    program = PROGRAM.replace("\ndef main", f"{middle}\n\ndef main")
    if mode == "DELETE":
        # To open and close the file, as the writing above does, would give up the lock.
        program = program.replace("    assert open", "    #")
        process = start("describe", database, program=program)
        assert process.returncode == 0, process.stderr
    else:
        refusal("BUSY", "describe", database, program=program.replace("    assert open", "    #"))


@AS_ROOT
@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_read_only_mount_is_enough(database: Path, output: Path, scratch: Path, mode: str) -> None:
    execute(database, f"PRAGMA journal_mode = {mode}")
    mounted = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"')
    before = (*mounted, str(database.parent))
    assert result("describe", database, before=before)["rows"] == 2
    manifest = json.dumps(result("take", database, output, before=before))
    assert result("check", output, manifest, database, scratch, before=before)["same"]
    assert "NO_PERMISSION" in refusal("NO_PERMISSION", "replace", output, manifest, database, "true", "", before=before)


KILLED = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE t SET x = 'changed'")
connection.executemany("INSERT INTO t VALUES (?)", (("x" * 500,) for _ in range(1000)))
os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_writer(path: Path) -> None:
    process = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert process.returncode == -signal.SIGKILL
    assert Path(f"{path}-journal").stat().st_size > 0


def test_killed_writer_is_said_and_rolled_back_by_replace(database: Path, output: Path, scratch: Path) -> None:
    manifest = take(database, output)
    kill_writer(database)
    before = tree(database.parent)
    for arguments in (
        ["take", database, output.with_name("other")],
        ["describe", database],
        ["check", output, manifest, database, scratch],
    ):
        assert "run its writer" in refusal("RECOVER", *arguments)
    assert tree(database.parent) == before
    assert result("replace", output, manifest, database, "true", "")["same"]
    assert rows(database) == [("Alice",), (2,)]


@AS_ROOT
def test_wal_that_may_not_be_read_is_not_called_an_unfinished_change(database: Path) -> None:
    for folder in database.parents[:-2]:
        folder.chmod(0o755)
    execute(database, "PRAGMA journal_mode = WAL")
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("INSERT INTO t VALUES (3)")
    Path(f"{database}-wal").chmod(0)
    refusal("NO_PERMISSION", "describe", database, before=UNPRIVILEGED)
    writer.close()


def test_journals_of_a_database_that_is_gone_are_not_taken_for_the_new_ones(database: Path, output: Path) -> None:
    manifest = take(database, output)
    kill_writer(database)
    database.unlink()
    shutil.copy(f"{database}-journal", f"{database}-wal")
    assert result("replace", output, manifest, database, "false", "")["replaced"]
    assert set(tree(database.parent)) == {database.name}
    assert rows(database) == [("Alice",), (2,)]


def damage(path: Path) -> None:
    """Have another page's bytes in the second page."""
    data = bytearray(path.read_bytes())
    data[4096:] = b"lixo" * ((len(data) - 4096) // 4)
    path.write_bytes(data)


@pytest.mark.parametrize("harm", ["page", "text", "header", "schema"])
def test_damaged_database_is_said_and_kept_beside_when_forced(
    database: Path, output: Path, scratch: Path, harm: str
) -> None:
    manifest = take(database, output)
    if harm == "schema":
        # What is stored is in SQLite's message, and neither decides what it means nor makes a line.
        forged = (
            "INSERT INTO sqlite_master VALUES ('table', 'database is locked'||char(10)||'ERROR [BUSY]: ', 'x', 99, 'x')"
        )
        execute(database, "PRAGMA writable_schema = ON", forged)
    elif harm == "page":
        damage(database)
    else:
        database.write_bytes(b"no database at all " * 500 if harm == "text" else b"SQLite format 3\0")
    before = tree(database.parent)
    refusal("DAMAGED", "take", database, output.with_name("other"))
    refusal("DAMAGED", "describe", database)
    assert result("check", output, manifest, database, scratch)["damaged"]
    found = result("replace", output, manifest, database, "false", "")
    assert (found["replaced"], found["damaged"], found["same"], found["present"]) == (False, True, False, 0)
    assert tree(database.parent) == before
    assert result("replace", output, manifest, database, "true", found["state"])["replaced"]
    assert rows(database) == [("Alice",), (2,)]
    after = tree(database.parent)
    assert [after[name] for name in after if name.startswith(f"{database.name}.damaged-")] == [before[database.name]]
    assert len(after) == 2


def test_records_are_replaced_only_when_forced(database: Path, output: Path) -> None:
    manifest = take(database, output)
    execute(database, "DELETE FROM t", "CREATE TABLE notes (x)", "INSERT INTO notes VALUES (1)")
    database.chmod(0o640)
    before = tree(database.parent)
    found = result("replace", output, manifest, database, "false", "")
    assert (found["replaced"], found["present"], found["changed"]) == (False, 1, False)
    assert found["state"] == hashlib.sha256(before[database.name]).hexdigest()
    refusal("BUSY", "replace", output, manifest, database, "true", "0" * 64)
    assert tree(database.parent) == before
    assert result("replace", output, manifest, database, "true", found["state"])["replaced"]
    assert rows(database) == [("Alice",), (2,)]
    assert database.stat().st_mode & 0o777 == 0o640
    assert set(tree(database.parent)) == {database.name}


def test_database_without_rows_is_replaced(database: Path, output: Path) -> None:
    manifest = take(database, output)
    execute(database, "DELETE FROM t")
    assert result("replace", output, manifest, database, "false", "")["replaced"]


def test_database_in_use_is_not_replaced(database: Path, output: Path) -> None:
    manifest = take(database, output)
    execute(database, "DELETE FROM t")
    before = tree(database.parent)
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    program = PROGRAM.replace("WAIT = 60.0", "WAIT = 0.1")
    refusal("BUSY", "replace", output, manifest, database, "true", "", program=program)
    other.execute("ROLLBACK")
    other.close()
    assert tree(database.parent) == before


def test_database_in_wal_mode_is_compared_and_replaced_with_what_is_in_its_wal(database: Path, output: Path) -> None:
    manifest = take(database, output)
    program = "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    program += (
        "c.execute('PRAGMA journal_mode = WAL'); c.execute('DELETE FROM t'); c.execute('INSERT INTO t VALUES (5)')"
    )
    subprocess.run([sys.executable, "-c", f"{program}\nos._exit(0)", database], check=True)
    assert Path(f"{database}-wal").stat().st_size > 0
    assert result("replace", output, manifest, database, "false", "")["present"] == 1
    assert result("replace", output, manifest, database, "true", "")["replaced"]
    assert rows(database) == [("Alice",), (2,)]
    assert set(tree(database.parent)) == {database.name}


def test_what_lies_beside_the_database_is_named(database: Path) -> None:
    (database.parent / "lost+found").mkdir()
    (database.parent / "another.db").touch()
    Path(f"{database}-journal").touch()
    assert result("describe", database)["others"] == ["another.db"]


def test_link_to_a_database_stays_one(database: Path, output: Path) -> None:
    manifest = take(database, output)
    link = database.with_name("link.db")
    link.symlink_to(database.name)
    execute(database, "DELETE FROM t")
    assert result("replace", output, manifest, link, "false", "")["replaced"]
    assert os.readlink(link) == database.name
    assert len(rows(database)) == 2


def test_rows_of_sqlite_itself_are_none_of_a_user(volume: Path, output: Path, scratch: Path) -> None:
    path = volume / "app.db"
    execute(path, *SHAPES["sequence"], "DELETE FROM s")
    manifest = take(path, output)
    assert json.loads(manifest)["rows"] == 0
    assert result("check", output, manifest, path, scratch)["present"] == 0


def test_old_manifest_is_enough(database: Path, output: Path, scratch: Path, volume: Path) -> None:
    manifest = old(take(database, output))
    assert result("check", output, manifest, database, scratch)["same"]
    assert result("replace", output, manifest, volume / "new.db", "false", "")["replaced"]
    wrong = manifest.replace('"rows": 2', '"rows": 3')
    assert "it has 2 rows, the manifest 3" in refusal("DAMAGED", "check", output, wrong, database, scratch)


def repack(output: Path, change: Callable[[Path], object]) -> None:
    path = output.with_name("changed.db")
    path.write_bytes(gzip.decompress(output.read_bytes()))
    change(path)
    output.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


HARMS: dict[str, Callable[[Path], object]] = {
    "flip": lambda output: output.write_bytes(output.read_bytes()[:60] + b"\0\0\0" + output.read_bytes()[63:]),
    "cut": lambda output: output.write_bytes(output.read_bytes()[:-20]),
    "tail": lambda output: output.write_bytes(output.read_bytes() + b"tail"),
    "empty": lambda output: output.write_bytes(b""),
    "text": lambda output: output.write_bytes(b"text"),
    "page": lambda output: repack(output, damage),
    "wal": lambda output: repack(output, lambda path: execute(path, "PRAGMA journal_mode = WAL")),
    "row": lambda output: repack(output, lambda path: execute(path, "UPDATE t SET x = 3 WHERE x = 2")),
}


@pytest.mark.parametrize("harm", HARMS)
def test_snapshot_that_is_not_what_was_taken_is_refused(database: Path, output: Path, scratch: Path, harm: str) -> None:
    manifest = take(database, output)
    HARMS[harm](output)
    before = tree(database.parent)
    for words in (manifest,) if harm == "row" else (manifest, old(manifest)):
        refusal("DAMAGED", "check", output, words, database, scratch)
        refusal("DAMAGED", "replace", output, words, database, "true", "")
    assert tree(database.parent) == before
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    "other", [{"rows": 3}, {"content": "0" * 64}, {"tables": {"t": 2, "u": 0}}, {"tables": {"t": 3}}, {"rows": None}]
)
def test_manifest_of_another_snapshot_is_refused(
    database: Path, output: Path, scratch: Path, other: dict[str, Any]
) -> None:
    manifest = json.dumps(json.loads(take(database, output)) | other)
    refusal("DAMAGED", "check", output, manifest, database, scratch)


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "[]",
        "{}",
        "3",
        "null",
        '{"rows": 2, "database_bytes": []}',
        '{"rows": 2, "database_bytes": Infinity}',
        "[" * 99_999,
    ],
)
def test_other_manifest_is_one_line(database: Path, output: Path, scratch: Path, manifest: str) -> None:
    take(database, output)
    refusal("DAMAGED", "check", output, manifest, database, scratch)


def test_bomb_is_refused_at_the_bound(database: Path, output: Path, scratch: Path) -> None:
    manifest = take(database, output)
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    output.write_bytes(b"".join(packer.compress(bytes(1 << 20)) for _ in range(3000)) + packer.flush())
    limited = ("sh", "-c", 'ulimit -f 65536; exec "$0" "$@"')
    begun = time.monotonic()
    assert "unpacks to more than the 8192 bytes" in refusal(
        "DAMAGED", "check", output, manifest, database, scratch, before=limited
    )
    assert time.monotonic() - begun < 10
    assert list(scratch.iterdir()) == []


@pytest.fixture(params=["pipe", "socket", "device", "folder"])
def strange(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is no file."""
    path = tmp_path / "strange"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "socket":
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("strange")
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    return path


def test_what_is_no_file_is_refused_at_once(strange: Path, database: Path, output: Path, scratch: Path) -> None:
    manifest = take(database, output)
    begun = time.monotonic()
    refusal("DAMAGED", "take", strange, output.with_name("other"))
    refusal("DAMAGED", "describe", strange)
    refusal("DAMAGED", "check", strange, manifest, database, scratch)
    refusal("DAMAGED", "check", output, manifest, strange, scratch)
    refusal("DAMAGED", "replace", output, manifest, strange, "true", "")
    strange.rename(f"{database}-journal")
    refusal("DAMAGED", "describe", database)
    assert time.monotonic() - begun < 20


def test_planted_links_are_not_written_through(database: Path, output: Path, scratch: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    part = database.with_name(f".{database.name}.restoring")
    for place in (output, Path(f"{output}.db"), scratch / "snapshot.db", part):
        place.symlink_to(victim)
    manifest = take(database, output)
    assert result("check", output, manifest, database, scratch)["same"]
    execute(database, "DELETE FROM t")
    assert result("replace", output, manifest, database, "true", "")["replaced"]
    assert not output.is_symlink()
    # Nor where one is planted again as soon as it has been removed.
    part.symlink_to(victim)
    program = PROGRAM.replace("os.remove(path + suffix)\n    return", "pass\n    return")
    assert program != PROGRAM
    refusal("USAGE", "replace", output, manifest, database, "true", "", program=program)
    part.unlink(missing_ok=True)
    assert victim.read_bytes() == b"mine"
    assert set(tree(database.parent)) == {database.name}


def test_what_a_killed_run_left_is_no_hindrance(database: Path, output: Path) -> None:
    manifest = take(database, output)
    part = database.with_name(f".{database.name}.restoring")
    for left in (Path(f"{output}.db"), part):
        shutil.copy(database, left)
        kill_writer(left)
    assert result("take", database, output)["rows"] == 2
    assert result("replace", output, manifest, database.with_name("new.db"), "true", "")["replaced"]
    execute(database, "DELETE FROM t")
    assert result("replace", output, manifest, database, "true", "")["replaced"]
    assert rows(database) == [("Alice",), (2,)]
    assert set(tree(database.parent)) == {database.name, "new.db"}


TRACED = """
import os, signal, sys
left, program = int(sys.argv.pop(1)), sys.argv.pop(1)
exchanging = False
def trace(frame, event, argument):
    global left, exchanging
    exchanging |= frame.f_code.co_name == "exchange"
    left -= exchanging and event == "line"
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return trace
sys.settrace(trace)
exec(compile(program, "snapshot.py", "exec"))
"""


@pytest.mark.parametrize("hot", [False, True])
def test_killed_before_any_line_of_the_exchange_it_leaves_the_old_or_the_new(
    database: Path, output: Path, hot: bool
) -> None:
    manifest = take(database, output)
    execute(database, "DELETE FROM t", "INSERT INTO t VALUES ('old')")
    saved = database.read_bytes()
    ends: list[Any] = []
    status = -signal.SIGKILL
    while status:
        for path in database.parent.iterdir():
            path.unlink()
        database.write_bytes(saved)
        if hot:
            kill_writer(database)
        arguments = [len(ends) + 1, PROGRAM, "replace", output, manifest, database, "true", ""]
        status = start(*arguments, program=TRACED).returncode
        assert status in (0, -signal.SIGKILL)
        ends.append(rows(database))
    turn = ends.index([("Alice",), (2,)])
    assert ends == [[("old",)]] * turn + [[("Alice",), (2,)]] * (len(ends) - turn)
    assert 0 < turn < len(ends) - 1


@AS_ROOT
def test_full_disk_leaves_the_old_database_and_nothing_else(database: Path, output: Path, tmp_path: Path) -> None:
    execute(database, "INSERT INTO t VALUES (randomblob(1000000))")
    manifest = take(database, output)
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(small)], check=True)
    try:
        execute(small / "app.db", "CREATE TABLE t (x)")
        before = tree(small)
        assert "free space" in refusal("NO_SPACE", "replace", output, manifest, small / "app.db", "true", "")
        refusal("NO_SPACE", "check", output, manifest, database, small)
        assert "free space" in refusal("NO_SPACE", "take", database, small / "snapshot.gz")
        assert tree(small) == before
        # Room for the copy, but not for the compressed one as well.
        subprocess.run(["mount", "-o", "remount,size=1500k", str(small)], check=True)
        refusal("NO_SPACE", "take", database, small / "snapshot.gz")
        assert tree(small) == before
    finally:
        subprocess.run(["umount", str(small)], check=True)


@AS_ROOT
def test_what_the_user_may_not_do_is_not_called_a_full_disk(database: Path, output: Path, scratch: Path) -> None:
    manifest = take(database, output)
    for folder in database.parents[:-2]:
        folder.chmod(0o755)
    found = [
        refusal("NO_PERMISSION", "replace", output, manifest, database, "true", "", before=UNPRIVILEGED),
        refusal("NO_PERMISSION", "take", database, output.with_name("other.gz"), before=UNPRIVILEGED),
        refusal("NO_PERMISSION", "check", output, manifest, database, scratch, before=UNPRIVILEGED),
    ]
    # The folder may be written to, the database not.
    database.parent.chmod(0o777)
    database.chmod(0o444)
    execute(database, "DELETE FROM t")
    found.append(refusal("NO_PERMISSION", "replace", output, manifest, database, "true", "", before=UNPRIVILEGED))
    database.chmod(0)
    found.append(refusal("NO_PERMISSION", "describe", database, before=UNPRIVILEGED))
    database.parent.chmod(0)
    found.append(refusal("NO_PERMISSION", "describe", database, before=UNPRIVILEGED))
    assert all("12345" in line and "space" not in line for line in found)


def test_too_little_memory_is_one_line(database: Path, output: Path) -> None:
    program = PROGRAM.replace(
        "def need_file(path: str) -> None:", "def need_file(path: str) -> None:\n    [0] * 2**60\n"
    )
    assert "memory" in refusal("NO_SPACE", "take", database, output, program=program)


def test_collation_of_an_application_is_not_called_damage(database: Path) -> None:
    connection = sqlite3.connect(database)
    connection.create_collation("theirs", lambda one, other: (one > other) - (one < other))
    connection.execute("CREATE INDEX i ON t (x COLLATE theirs)")
    connection.close()
    assert "no such collation sequence: theirs" in refusal("USAGE", "describe", database)


def test_no_database_is_one_line(volume: Path, output: Path) -> None:
    refusal("NO_DATABASE", "take", volume / "app.db", output)
    refusal("NO_DATABASE", "describe", volume / "app.db")
    refusal("NO_DATABASE", "take", volume / "nowhere/app.db", output)
    assert list(volume.iterdir()) == list(output.parent.iterdir()) == []
    assert "\\n" in refusal("NO_DATABASE", "describe", volume / "a\nERROR [BUSY]: b")


def test_no_snapshot_is_one_line(database: Path, output: Path, scratch: Path) -> None:
    manifest = take(database, output)
    refusal("NO_DATABASE", "check", output.with_name("missing"), manifest, database, scratch)
    refusal("NO_DATABASE", "check", output, manifest, database, scratch / "missing")
    found = result("check", output, manifest, database.parent / "nowhere/app.db", scratch)
    assert (found["state"], found["present"], found["damaged"], found["same"]) == ("absent", 0, False, False)


@pytest.mark.parametrize("arguments", [[], ["take"], ["other"], ["describe", "a", "b"], ["check", "a", "b", "c"]])
def test_wrong_arguments_are_one_line(arguments: list[str]) -> None:
    refusal("USAGE", *arguments)


def test_program_is_small_enough_for_one_argument() -> None:
    assert len(PROGRAM.encode()) < 100_000
