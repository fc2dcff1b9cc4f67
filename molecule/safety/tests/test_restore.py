"""A restore puts back just what was saved, or refuses and leaves every byte of the volume as it was."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from shared.demo import Demo, error, recap, said, works
from shared.engine import READ, Engine
from shared.programs import KEEP_BYTECODE, PROGRAM, mount_snapshot, snapshot_program
from shared.snapshots import manifest, snapshot_rows, snapshots_in, write_manifest
from shared.volumes import DAMAGE_PAGE, DEFAULT_ROWS, FILL, LEAVE_HOT_JOURNAL, change, file_hashes, fill

STALE = """
import os
os.rename("/data/demo.db", "/data/other.db")
for suffix in ("-journal", "-wal", "-shm"):
    open("/data/demo.db" + suffix, "wb").write(JOURNAL)
"""


def restore(demo: Demo, snapshot: Path, **settings: bool | int | str) -> subprocess.CompletedProcess[str]:
    settings["demo_backup_file"] = str(snapshot)
    return demo.play("playbooks/restore.yml", f"--extra-vars={json.dumps(settings)}")


def test_what_is_there_already_is_no_change(engine: Engine, demo: Demo, saved: Path, folder: Path) -> None:
    before = file_hashes(engine, demo)
    for force in (False, True):
        result = restore(demo, saved, demo_restore_force=force)
        assert recap(result)["changed"] == 0, works(result)
    assert file_hashes(engine, demo) == before
    assert snapshots_in(folder) == [saved]


def test_records_are_replaced_only_when_forced_and_saved_before(
    engine: Engine, demo: Demo, saved: Path, folder: Path
) -> None:
    fill(engine, demo, '["Davi", "Elisa"]')
    before, state = file_hashes(engine, demo), engine.state()
    assert "holds 2 records" in error(restore(demo, saved))
    assert (file_hashes(engine, demo), engine.state()) == (before, state)
    # More snapshots than are kept: the one to restore is the oldest and must live.
    works(restore(demo, saved, demo_restore_force=True, demo_backup_keep=1))
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS
    (oldest, newest) = snapshots_in(folder)
    assert oldest == saved
    assert snapshot_rows(newest) == [[1, "Davi"], [2, "Elisa"]]
    assert set(file_hashes(engine, demo)) == {"demo.db"}
    assert engine.state() == state
    assert recap(restore(demo, saved))["changed"] == 0


@pytest.mark.parametrize("setting", ["demo_database", "demo_volume"])
def test_snapshot_of_another_is_put_there_only_when_forced(
    engine: Engine, demo: Demo, saved: Path, setting: str
) -> None:
    target = {"demo_database": "demo.db", "demo_volume": demo.volume, setting: "molecule_safety_other"}
    elsewhere = replace(demo, settings={**demo.settings, **target})
    state = engine.state()
    line = error(restore(elsewhere, saved))
    other = f"{target['demo_database']} in {target['demo_volume']}"
    assert f"is a snapshot of demo.db in the volume {demo.volume}, not of {other}: nothing was touched" in line
    assert engine.state() == state
    try:
        words = said(restore(elsewhere, saved, demo_restore_force=True))
        assert f"The snapshot is number 1 of demo.db in the volume {demo.volume} of localhost" in words
        code = READ.replace("demo.db", target["demo_database"])
        assert json.loads(engine.python(demo.image, target["demo_volume"], code)) == DEFAULT_ROWS
    finally:
        remove = "import os; os.path.exists('/data/molecule_safety_other') and os.remove('/data/molecule_safety_other')"
        change(engine, demo, remove)
        engine.docker("volume", "rm", "molecule_safety_other")


def test_check_mode_changes_nothing(engine: Engine, demo: Demo, saved: Path, folder: Path) -> None:
    fill(engine, demo, '["Davi"]')
    before = file_hashes(engine, demo)
    works(demo.play("playbooks/restore.yml", "--check", "--diff", demo_backup_file=str(saved), demo_restore_force=True))
    assert file_hashes(engine, demo) == before
    assert snapshots_in(folder) == [saved]


def test_journals_of_a_database_that_is_gone_are_not_taken_for_its_own(engine: Engine, demo: Demo, saved: Path) -> None:
    change(engine, demo, LEAVE_HOT_JOURNAL)
    code = 'JOURNAL = open("/data/demo.db-journal", "rb").read()' + STALE
    change(engine, demo, code)
    works(restore(demo, saved))
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS
    assert set(file_hashes(engine, demo)) == {"demo.db", "other.db"}


def flip(snapshot: Path) -> None:
    """Change one byte in the middle."""
    data = bytearray(snapshot.read_bytes())
    data[len(data) // 2] ^= 1
    snapshot.write_bytes(data)


def cut(snapshot: Path) -> None:
    """Lose the second half."""
    snapshot.write_bytes(snapshot.read_bytes()[: snapshot.stat().st_size // 2])


def cut_and_sign(snapshot: Path) -> None:
    """Lose the second half, with a manifest that agrees."""
    cut(snapshot)
    write_manifest(snapshot)


def flip_and_sign(snapshot: Path) -> None:
    """Damage a page inside, with a manifest that agrees."""
    data = bytearray(gzip.decompress(snapshot.read_bytes()))
    data[4096:4196] = b"\xff" * 100
    snapshot.write_bytes(gzip.compress(data))
    write_manifest(snapshot)


def miscount(snapshot: Path) -> None:
    """Say that there are more rows than there are."""
    write_manifest(snapshot, rows=4)


def pack(snapshot: Path, *statements: str) -> None:
    """Pack another intact database, with a manifest that agrees with the file."""
    path = snapshot.with_suffix(".other")
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    snapshot.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    write_manifest(snapshot)


def of_another_program(snapshot: Path) -> None:
    """Pack an intact database that has no table clientes."""
    pack(snapshot, "CREATE TABLE notes (text)", "INSERT INTO notes VALUES (1), (2), (3)")


def of_other_rows(snapshot: Path) -> None:
    """Pack an intact database of the same table, with as many rows."""
    pack(snapshot, "CREATE TABLE clientes (id, nome)", "INSERT INTO clientes VALUES (1, 1), (2, 2), (3, 3)")


def bomb(snapshot: Path) -> None:
    """Pack 300 MB of nothing."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    with snapshot.open("wb") as file:
        for _ in range(300):
            file.write(packer.compress(bytes(1 << 20)))
        file.write(packer.flush())
    write_manifest(snapshot)


def no_manifest(snapshot: Path) -> None:
    """Lose the manifest."""
    snapshot.with_suffix(".json").unlink()


def other_manifest(snapshot: Path) -> None:
    """Have something else in the manifest's place."""
    snapshot.with_suffix(".json").write_text("[]")


def empty(snapshot: Path) -> None:
    """Have nothing in the file."""
    snapshot.write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (flip, "another SHA-256"),
        (cut, "another SHA-256"),
        (empty, "another SHA-256"),
        (no_manifest, "manifest"),
        (other_manifest, "manifest"),
        (cut_and_sign, "ERROR [DAMAGED]: the snapshot"),
        (flip_and_sign, "ERROR [DAMAGED]: the snapshot"),
        (miscount, "ERROR [DAMAGED]: the snapshot is not what its manifest says: it has 3 rows, the manifest 4"),
        (of_another_program, "ERROR [DAMAGED]: the snapshot is not what its manifest says"),
        (of_other_rows, "ERROR [DAMAGED]: the snapshot is not what its manifest says"),
        (bomb, "ERROR [DAMAGED]: the snapshot unpacks to more than the"),
    ],
)
def test_snapshot_that_is_not_whole_or_not_ours_is_refused(
    engine: Engine, demo: Demo, saved: Path, folder: Path, harm: Callable[[Path], None], words: str
) -> None:
    fill(engine, demo, '["Davi"]')
    harm(saved)
    before, state = file_hashes(engine, demo), engine.state()
    assert words in error(restore(demo, saved, demo_restore_force=True))
    assert (file_hashes(engine, demo), engine.state()) == (before, state)
    assert snapshots_in(folder) == [saved]


def test_no_snapshot_is_one_line(demo: Demo, folder: Path) -> None:
    assert "restore_file (not given) is no snapshot" in error(demo.play("playbooks/restore.yml"))
    assert "demo_backup_file" in error(restore(demo, folder / "missing.gz"))


@pytest.fixture
def user(engine: Engine, demo: Demo) -> Iterator[str]:
    """A container of somebody else that has the volume mounted."""
    name = f"{demo.image}-user"
    start = ["run", "--detach", "--init", f"--name={name}", f"--volume={demo.volume}:/data"]
    engine.output(*start, engine.base(demo.image), "sleep", "600")
    yield name
    engine.output("rm", "--force", name)


def test_volume_in_use_is_refused(engine: Engine, demo: Demo, saved: Path, user: str) -> None:
    fill(engine, demo, '["Davi"]')
    before = file_hashes(engine, demo)
    assert f"mounted: {user}." in error(restore(demo, saved, demo_restore_force=True))
    assert file_hashes(engine, demo) == before
    engine.output("stop", "--time=1", user)
    works(restore(demo, saved, demo_restore_force=True))


def test_volume_of_somebody_else_is_refused(engine: Engine, demo: Demo, saved: Path) -> None:
    name = "molecule_theirs"
    other = Demo("safety", {"demo_volume": name})
    engine.output("volume", "create", name)
    try:
        words = "exists and this project did not create it"
        assert words in error(restore(other, saved, demo_restore_force=True))
        assert engine.python(demo.image, name, "import os; print(os.listdir('/data'))") == "[]"
        works(restore(other, saved, demo_adopt_volume=True, demo_restore_force=True))
        assert engine.rows(demo.image, name) == DEFAULT_ROWS
    finally:
        engine.output("volume", "rm", name)


def test_damaged_database_is_replaced_only_when_forced_and_kept_beside(engine: Engine, demo: Demo, saved: Path) -> None:
    change(engine, demo, DAMAGE_PAGE)
    before = file_hashes(engine, demo)
    assert "is damaged" in error(restore(demo, saved))
    assert file_hashes(engine, demo) == before
    works(restore(demo, saved, demo_restore_force=True))
    after = file_hashes(engine, demo)
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS
    assert [after[name] for name in after if name.startswith("demo.db.damaged-")] == [before["demo.db"]]


def test_database_that_changed_since_its_records_were_saved_is_not_replaced(
    engine: Engine, demo: Demo, saved: Path, tmp_path: Path
) -> None:
    fill(engine, demo, '["Davi"]')
    assert run(demo, saved, tmp_path, "replace", "true", state="0" * 64).startswith("ERROR [BUSY]")
    assert engine.rows(demo.image, demo.volume) == [[1, "Davi"]]
    found = json.loads(run(demo, saved, tmp_path, "check", "/tmp", where=f"--volume={demo.volume}:/data:ro"))
    assert not found["replaced"]
    assert json.loads(run(demo, saved, tmp_path, "replace", "true", state=found["state"]))["replaced"]
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS


def test_records_of_other_tables_count(engine: Engine, demo: Demo, saved: Path) -> None:
    fill(engine, demo, "[]")
    code = "import sqlite3; c = sqlite3.connect('/data/demo.db'); c.execute('CREATE TABLE notas (nota)')"
    change(engine, demo, f"{code}; c.execute('INSERT INTO notas VALUES (1)'); c.commit()")
    before = file_hashes(engine, demo)
    assert "holds 1 records" in error(restore(demo, saved))
    assert file_hashes(engine, demo) == before


def run(demo: Demo, snapshot: Path, folder: Path, action: str, *words: str, state: str = "", where: str = "") -> str:
    """Run the roles' program as they do; return its one line."""
    options = (where or f"--volume={demo.volume}:/data", mount_snapshot(snapshot, folder), "--tmpfs=/tmp")
    says = snapshot.with_suffix(".json").read_text()
    words = (action, "/snapshot/snapshot.gz", says, "/data/demo.db", *words, *([state] if action == "replace" else []))
    result = subprocess.run(
        snapshot_program(demo, *words, options=options), check=False, capture_output=True, text=True
    )
    return result.stdout or result.stderr


# Of a database that is the snapshot but for one thing: that this is not seen would lose it.
DIFFER = {
    "blob": "UPDATE clientes SET nome = CAST(nome AS BLOB) WHERE nome = 'Alice'",
    "real": "UPDATE clientes SET extra = 1.0",
    "user_version": "PRAGMA user_version = 1",
    "application_id": "PRAGMA application_id = 1",
    "view": "CREATE VIEW v AS SELECT nome FROM clientes",
}
FINGERPRINT = """
import sqlite3
connection = sqlite3.connect("file:/data/demo.db?mode=ro", uri=True)
for query in (
    "SELECT id, typeof(nome), hex(nome), typeof(extra), extra FROM clientes ORDER BY id",
    "PRAGMA user_version",
    "PRAGMA application_id",
    "SELECT sql FROM sqlite_master",
):
    print(connection.execute(query).fetchall())
"""


@pytest.mark.parametrize("statement", DIFFER.values(), ids=DIFFER.keys())
def test_what_differs_in_type_or_beside_the_rows_is_not_the_same(
    engine: Engine, demo: Demo, folder: Path, statement: str
) -> None:
    execute = "import sqlite3; c = sqlite3.connect('/data/demo.db', isolation_level=None); c.execute(STATEMENT)"
    # A column without a type takes each value as it is.
    for first in ("ALTER TABLE clientes ADD COLUMN extra", "UPDATE clientes SET extra = 1"):
        change(engine, demo, execute.replace("STATEMENT", repr(first)))
    saved_state = engine.python(demo.image, demo.volume, FINGERPRINT)
    works(demo.play("playbooks/backup.yml"))
    (snapshot,) = snapshots_in(folder)
    change(engine, demo, execute.replace("STATEMENT", repr(statement)))
    assert engine.python(demo.image, demo.volume, FINGERPRINT) != saved_state
    before = file_hashes(engine, demo)
    assert "holds 3 records" in error(restore(demo, snapshot))
    assert file_hashes(engine, demo) == before
    assert "is the snapshot now" in works(restore(demo, snapshot, demo_restore_force=True))
    assert engine.python(demo.image, demo.volume, FINGERPRINT) == saved_state
    assert "holds what the snapshot does already" in works(restore(demo, snapshot))


def test_link_in_place_of_the_part_is_not_written_through(engine: Engine, demo: Demo, saved: Path) -> None:
    fill(engine, demo, '["Davi"]')
    plant = "import os; open('/data/theirs', 'w').write('theirs'); os.symlink('theirs', '/data/.demo.db.restoring')"
    change(engine, demo, plant)
    theirs = file_hashes(engine, demo)["theirs"]
    works(restore(demo, saved, demo_restore_force=True))
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS
    after = file_hashes(engine, demo)
    assert set(after) == {"demo.db", "theirs"}
    assert after["theirs"] == theirs


def test_pipe_in_place_of_the_database_or_the_snapshot_is_one_line(engine: Engine, demo: Demo, saved: Path) -> None:
    change(engine, demo, "import os; os.remove('/data/demo.db'); os.mkfifo('/data/demo.db')")
    assert "ERROR [DAMAGED]: /data/demo.db" in error(restore(demo, saved, demo_restore_force=True))
    saved.unlink()
    os.mkfifo(saved)
    assert "demo_backup_file" in error(restore(demo, saved, demo_restore_force=True))


HASH_BLOB = """
import hashlib, sqlite3
connection = sqlite3.connect("file:/data/demo.db?mode=ro", uri=True)
for kind, blob in connection.execute("SELECT typeof(nome), nome FROM clientes WHERE id = 4"):
    print(kind, len(blob), hashlib.sha256(blob).hexdigest())
"""


def test_blob_of_90_mb_is_taken_and_put_back(engine: Engine, demo: Demo, folder: Path) -> None:
    insert = "c.execute('INSERT INTO clientes (nome) VALUES (randomblob(90000000))')"
    change(engine, demo, f"import sqlite3; c = sqlite3.connect('/data/demo.db'); {insert}; c.commit()")
    blob = engine.python(demo.image, demo.volume, HASH_BLOB)
    works(demo.play("playbooks/backup.yml"))
    works(demo.play("teardown.yml"))
    (snapshot,) = snapshots_in(folder)
    assert manifest(snapshot)["database_bytes"] > 90_000_000
    works(demo.play("playbooks/restore.yml", demo_backup_file=str(snapshot)))
    assert set(file_hashes(engine, demo)) == {"demo.db"}
    assert engine.python(demo.image, demo.volume, HASH_BLOB) == blob


def test_full_disk_leaves_the_old_database(engine: Engine, demo: Demo, folder: Path, tmp_path: Path) -> None:
    fill(engine, demo, '(f"{number:0200}" for number in range(5_000))')
    works(demo.play("playbooks/backup.yml"))
    (large,) = snapshots_in(folder)
    name = "molecule_safety_small"
    options = ["--opt=type=tmpfs", "--opt=device=tmpfs", "--opt=o=size=512k,uid=10001"]
    engine.output("volume", "create", "--driver=local", *options, name)
    small = Demo("safety", {"demo_volume": name})
    # What is on it lives as long as somebody has it mounted.
    holder = engine.output(
        "run", "--detach", "--init", f"--volume={name}:/data", engine.base(demo.image), "sleep", "600"
    )
    try:
        where = f"--volume={name}:/data"
        make = ["run", "--rm", "--user=10001", where, engine.base(demo.image), "python3", "-c"]
        engine.output(*make, FILL.replace("NAMES", '["Davi"]'))
        files = engine.python(small.image, name, "import os; print(os.listdir('/data'))")
        assert run(small, large, tmp_path, "replace", "true", where=where).startswith("ERROR [NO_SPACE]")
        assert engine.rows(small.image, name) == [[1, "Davi"]]
        assert engine.python(small.image, name, "import os; print(os.listdir('/data'))") == files
    finally:
        engine.output("rm", "--force", holder)
        engine.output("volume", "rm", name)


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

# For each line that is executed from the exchange of the two databases on: a volume as it was, the role's program
# killed before that line, and what is found then. All in one container, each program in a process of its own.
KILLED_AT_EACH_LINE = """
import json, os, shutil, sqlite3, subprocess, sys
traced, program, killed = sys.argv[1:]
shutil.copy("/data/demo.db", "/tmp/old")
old = sqlite3.connect("/tmp/old").execute("SELECT * FROM clientes").fetchall()
ends, status = [], None
while status != 0:
    for name in os.listdir("/data"):
        os.remove("/data/" + name)
    shutil.copy("/tmp/old", "/data/demo.db")
    subprocess.run([sys.executable, "-c", killed], check=True)
    arguments = ["replace", "/snapshot/snapshot.gz", '{"rows": 3}', "/data/demo.db", "true", ""]
    command = [sys.executable, "-c", traced, str(len(ends) + 1), program, *arguments]
    status = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
    assert status in (0, -9)
    connection = sqlite3.connect("/data/demo.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    found = connection.execute("SELECT * FROM clientes").fetchall()
    connection.close()
    ends.append("old" if found == old else json.dumps(found))
print(json.dumps(ends))
"""


@pytest.mark.parametrize("before", ["", LEAVE_HOT_JOURNAL], ids=["clean", "hot-journal"])
def test_killed_before_any_line_it_leaves_the_old_database_or_the_new(
    engine: Engine, demo: Demo, saved: Path, tmp_path: Path, before: str
) -> None:
    fill(engine, demo, '["Davi", "Elisa"]')
    mounts = [f"--volume={demo.volume}:/data", mount_snapshot(saved, tmp_path)]
    start = [
        "run",
        "--rm",
        "--init",
        "--network=none",
        *mounts,
        *KEEP_BYTECODE,
        "--entrypoint=python",
    ]
    ends = json.loads(engine.output(*start, demo.image, "-S", "-c", KILLED_AT_EACH_LINE, TRACED, PROGRAM, before))
    new = json.dumps(DEFAULT_ROWS)
    assert ends.count("old") >= 10
    assert ends.count(new) >= 5
    assert ends == ["old"] * ends.count("old") + [new] * ends.count(new)
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS


def test_killed_restore_leaves_the_old_database_or_the_new(
    engine: Engine, demo: Demo, folder: Path, tmp_path: Path
) -> None:
    fill(engine, demo, '(f"novo {number}" for number in range(200_000))')
    works(demo.play("playbooks/backup.yml"))
    (new,) = snapshots_in(folder)
    ends: list[str] = []
    killed = 0
    took = 3.0
    for attempt in range(10):
        fill(engine, demo, '["Davi", "Elisa"]')
        name = f"{demo.image}-killed"
        options = (f"--name={name}", f"--volume={demo.volume}:/data", mount_snapshot(new, tmp_path))
        says = new.with_suffix(".json").read_text()
        words = ["replace", "/snapshot/snapshot.gz", says, "/data/demo.db", "true", ""]
        begin = time.monotonic()
        process = subprocess.Popen(snapshot_program(demo, *words, options=options), stdout=subprocess.DEVNULL)
        if attempt:
            time.sleep(took * (0.1 + 0.09 * attempt))
            engine.docker("kill", name)
        status = process.wait(timeout=60)
        killed += status == 137
        if not attempt:
            took = time.monotonic() - begin
        found = engine.rows(demo.image, demo.volume)
        check = "import sqlite3; print(sqlite3.connect('file:/data/demo.db?mode=ro', uri=True)"
        assert (
            engine.python(demo.image, demo.volume, check + ".execute('PRAGMA integrity_check').fetchall())")
            == "[('ok',)]"
        )
        ends.append("old" if found == [[1, "Davi"], [2, "Elisa"]] else "new")
        if ends[-1] == "new":
            assert found == [[number + 1, f"novo {number}"] for number in range(200_000)]
    assert ends[0] == "new"
    assert killed >= 5, "most were killed in the middle"
    # What a killed one left behind does not hinder the next.
    works(restore(demo, new, demo_restore_force=True))
    assert set(file_hashes(engine, demo)) == {"demo.db"}
