"""A snapshot is one committed state, proven and hashed before it counts, whoever writes meanwhile."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from shared.demo import REPOSITORY, Demo, error, finished, local_inventory, recap, temporaries, works
from shared.engine import Engine
from shared.private_engine import PrivateEngine
from shared.programs import repeat, snapshot_program
from shared.snapshots import manifest, snapshot_rows, snapshots_in, write_manifest
from shared.system import wait_for
from shared.volumes import DAMAGE_PAGE, DEFAULT_ROWS, LEAVE_HOT_JOURNAL, change, file_hashes, fill
from testinfra.host import Host

# Each transaction changes all of a hundred records, and reaches the file long before it is committed: a copy of the
# file would show records of two transactions. Without any pause a reader would wait for seconds.
COMMITTING = """
import itertools, sqlite3, time
connection = sqlite3.connect("/data/demo.db", timeout=60, isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
for batch in itertools.count():
    connection.execute("BEGIN IMMEDIATE")
    for number in range(1, 101):
        connection.execute("UPDATE clientes SET nome = ? WHERE id = ?", (f"{batch} {number:0500}", number))
    connection.execute("COMMIT")
    time.sleep(0.01)
"""


READ_EACH = """
import json, sqlite3
paths = (f"file:/data/{number}.db?mode=ro" for number in range(1, 51))
query = "SELECT id, nome FROM clientes ORDER BY id"
print(json.dumps([sqlite3.connect(path, uri=True).execute(query).fetchall() for path in paths]))
"""


def output_lines(command: list[str]) -> list[str]:
    """Run a command that must work, and return the lines that it printed."""
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_snapshot_is_the_database_and_its_manifest_says_so(engine: Engine, demo: Demo, folder: Path) -> None:
    before, state, temporary = file_hashes(engine, demo), engine.state(), temporaries()
    works(demo.play("playbooks/backup.yml"))
    (snapshot,) = snapshots_in(folder)
    assert snapshot_rows(snapshot) == DEFAULT_ROWS
    words = manifest(snapshot)
    assert snapshot.name == f"{demo.volume}@demo.db@000001-{words['created']}.gz"
    age = datetime.now(UTC) - datetime.strptime(words.pop("created"), "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    assert 0 <= age.total_seconds() < 60
    assert words.pop("sqlite") == engine.python(
        demo.image, demo.volume, "import sqlite3; print(sqlite3.sqlite_version)"
    )
    assert re.fullmatch("[0-9a-f]{64}", words.pop("content"))
    assert words == {
        "host": "localhost",
        "engine": {
            "id": engine.output("info", "--format={{.ID}}"),
            "name": engine.output("info", "--format={{.Name}}"),
            "root": engine.output("info", "--format={{.DockerRootDir}}"),
        },
        "volume": demo.volume,
        "database": "demo.db",
        "tables": {"clientes": 3},
        "rows": 3,
        "bytes": snapshot.stat().st_size,
        "sha256": hashlib.sha256(snapshot.read_bytes()).hexdigest(),
        "database_bytes": len(gzip.decompress(snapshot.read_bytes())),
        "after": 0,
        "number": 1,
    }
    assert {path.name for path in snapshot.parent.iterdir()} == {".lock", snapshot.name, f"{snapshot.stem}.json"}
    assert file_hashes(engine, demo) == before
    assert engine.state() == state
    assert temporaries() == temporary


def test_check_mode_keeps_nothing(demo: Demo, folder: Path) -> None:
    works(demo.play("playbooks/backup.yml", "--check", "--diff"))
    assert not folder.exists()


def test_50_snapshots_while_a_writer_commits(engine: Engine, demo: Demo, tmp_path: Path) -> None:
    fill(engine, demo, '(f"0 {number:0500}" for number in range(1, 101))')
    name = f"{demo.image}-committing"
    mount = f"{demo.volume}:/data"
    start = ["run", "--detach", "--init", f"--name={name}", "--user=10001", f"--volume={mount}"]
    engine.output(*start, engine.base(demo.image), "python3", "-c", COMMITTING)
    folder, restored = f"--volume={tmp_path}:/snapshot", f"{demo.volume}_restored"
    words = ["take", "/data/demo.db", "/snapshot/NUMBER/snapshot.gz"]
    take = snapshot_program(demo, *words, options=(f"--volume={mount}:ro", folder))
    words = ["replace", "/snapshot/NUMBER/snapshot.gz", '{"rows": 100}', "/data/NUMBER.db", "true", ""]
    put = snapshot_program(demo, *words, options=(f"--volume={restored}:/data", folder))
    tmp_path.chmod(0o755)
    for number in range(1, 51):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number)).chmod(0o777)
    try:
        taken = output_lines(repeat(take, 50))
        assert engine.inspect("container", name)["State"]["Running"], engine.docker("logs", name).stderr
        replaced = output_lines(repeat(put, 50))
        found = json.loads(engine.python(demo.image, restored, READ_EACH))
    finally:
        engine.output("rm", "--force", name)
        engine.docker("volume", "rm", restored)
    assert [json.loads(line)["rows"] for line in taken] == [100] * 50
    assert all(json.loads(line)["replaced"] for line in replaced)
    batches = [int(each[0][1].split()[0]) for each in found]
    assert found == [[[number, f"{batch} {number:0500}"] for number in range(1, 101)] for batch in batches]
    assert found == [snapshot_rows(tmp_path / f"{number}/snapshot.gz") for number in range(1, 51)]
    assert batches == sorted(batches)
    assert len(set(batches)) > 40, "the writer was at work all the time"


def test_snapshot_during_a_bulk_write_is_the_state_before_or_after(
    engine: Engine, demo: Demo, folder: Path, tmp_path: Path
) -> None:
    table = tmp_path / "clientes.csv"
    table.write_text("nome\n" + "".join(f"Cliente {number}\n" for number in range(1_000_000)))
    bulk = demo.start("site.yml", "--tags=write", demo_clients_file=str(table))
    wait_for(lambda: "demo.db-journal" in file_hashes(engine, demo))
    works(demo.play("playbooks/backup.yml"))
    output, _ = bulk.communicate(timeout=300)
    assert bulk.returncode == 0, output
    (snapshot,) = snapshots_in(folder)
    found = snapshot_rows(snapshot)
    assert found[:3] == DEFAULT_ROWS
    assert len(found) in (3, 1_000_003)
    assert manifest(snapshot)["rows"] == len(found)


@pytest.mark.parametrize(
    ("harm", "words"),
    [(DAMAGE_PAGE, "ERROR [DAMAGED]"), (LEAVE_HOT_JOURNAL, "ERROR [RECOVER]")],
    ids=["damaged", "hot-journal"],
)
def test_what_cannot_be_copied_is_one_line_and_prunes_nothing(
    engine: Engine, demo: Demo, folder: Path, harm: str, words: str
) -> None:
    works(demo.play("playbooks/backup.yml"))
    change(engine, demo, harm)
    before, kept = file_hashes(engine, demo), set(folder.rglob("*"))
    assert f"{words}: /data/demo.db" in error(demo.play("playbooks/backup.yml", demo_backup_keep=1))
    assert set(folder.rglob("*")) == kept
    assert file_hashes(engine, demo) == before


def test_no_volume_is_one_line(demo: Demo, folder: Path) -> None:
    result = demo.play("playbooks/backup.yml", demo_volume="molecule_nothing")
    assert "There is no volume molecule_nothing" in error(result)
    assert not folder.exists()


def test_pipe_in_place_of_the_database_is_one_line(engine: Engine, demo: Demo, folder: Path) -> None:
    change(engine, demo, "import os; os.remove('/data/demo.db'); os.mkfifo('/data/demo.db')")
    assert "ERROR [DAMAGED]: /data/demo.db" in error(demo.play("playbooks/backup.yml"))
    assert snapshots_in(folder) == []


def test_oldest_go_beyond_those_to_keep_and_nothing_else(demo: Demo, folder: Path) -> None:
    for _ in range(3):
        works(demo.play("playbooks/backup.yml", demo_backup_keep=0))
    ours, series = snapshots_in(folder), f"{demo.volume}@demo.db@"
    # The last two are a snapshot as version 1.0.0 kept it: it does not say which ones are newer.
    others = ["notes.gz", f"{series}notes.gz", "other@demo.db@000001-20200101T000000.000000Z.gz", "list.json"]
    others += [f"{series}20200101T000000.000000Z{suffix}" for suffix in (".gz", ".json")]
    for name in others:
        (folder / "localhost" / name).write_text("{}")
    works(demo.play("playbooks/backup.yml", "-e", "demo_backup_keep=2"))
    left = {path.name for path in (folder / "localhost").iterdir()} - {".lock"}
    (new,) = (path for path in snapshots_in(folder) if path.name.startswith(f"{series}000004-"))
    assert left == {*others, *(name for path in (ours[2], new) for name in (path.name, path.with_suffix(".json").name))}
    works(demo.play("playbooks/backup.yml", demo_backup_keep=0))
    assert left < {path.name for path in (folder / "localhost").iterdir()}


def test_clock_that_is_set_back_leaves_the_newest(engine: Engine, demo: Demo, folder: Path) -> None:
    works(demo.play("playbooks/backup.yml"))
    (snapshot,) = snapshots_in(folder)
    # It was taken before somebody set the clock from the year 2999 to the present.
    later = "29991231T000000.000000Z"
    write_manifest(snapshot, created=later)
    future = snapshot.rename(snapshot.with_name(f"{demo.volume}@demo.db@000001-{later}.gz"))
    snapshot.with_suffix(".json").rename(future.with_suffix(".json"))
    os.utime(future, (2**32, 2**32))
    fill(engine, demo, '["Davi"]')
    works(demo.play("playbooks/backup.yml", demo_backup_keep=1))
    (newest,) = snapshots_in(folder)
    assert snapshot_rows(newest) == [[1, "Davi"]]


@pytest.mark.parametrize("_attempt", range(4))
def test_two_backups_at_once_leave_one_that_restores(demo: Demo, folder: Path, _attempt: int) -> None:
    plays = [demo.start("playbooks/backup.yml", demo_backup_keep=1) for _ in range(2)]
    ends = [finished(play) for play in plays]
    for end in ends:
        assert end.returncode == 0 or "another play" in error(end)
    kept = snapshots_in(folder)
    assert 1 <= len(kept) <= sum(end.returncode == 0 for end in ends)
    assert [snapshot_rows(snapshot) for snapshot in kept] == [DEFAULT_ROWS] * len(kept)
    names = {name for path in kept for name in (path.name, path.with_suffix(".json").name)}
    assert {path.name for path in (folder / "localhost").iterdir()} == {".lock", *names}
    works(demo.play("playbooks/restore.yml", demo_backup_file=str(kept[-1])))


def test_two_engines_of_one_inventory_name_leave_each_other_s(
    host: Host, engine: Engine, demo: Demo, folder: Path, private: PrivateEngine
) -> None:
    far = replace(demo, settings={**demo.settings, "demo_docker_host": private.address})
    base = engine.base(demo.image)
    fetch = f"docker save {base} | docker --host={private.address} load"
    subprocess.run(["sh", "-c", fetch], check=True, stdout=subprocess.DEVNULL)
    works(far.play("site.yml", demo_clients=["Longe"], demo_base_image=base, demo_base_image_source="local"))
    for each in (far, demo, far, demo):
        works(each.play("playbooks/backup.yml", demo_backup_keep=1))
    kept = snapshots_in(folder)
    assert sorted(snapshot_rows(snapshot) for snapshot in kept) == [DEFAULT_ROWS, [[1, "Longe"]]]
    # Two of one machine have one ID.
    roots = {each.output("info", "--format={{.DockerRootDir}}") for each in (engine, Engine(host, private.address))}
    assert {manifest(snapshot)["engine"]["root"] for snapshot in kept} == roots


def test_no_inventory_name_leads_out_of_the_folder(demo: Demo, folder: Path, tmp_path: Path) -> None:
    works(demo.play("playbooks/backup.yml"))
    (ours,) = snapshots_in(folder)
    names = ["loc*", "../x", "..", "?oca*"]
    for number, name in enumerate(names):
        (tmp_path / f"{number}").mkdir()
        inventory = local_inventory(tmp_path / f"{number}", {name: {}})
        for _ in range(2):
            works(demo.play("playbooks/backup.yml", f"--inventory={inventory}", demo_backup_keep=1))
    assert ours.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"backups", *(f"{number}" for number in range(len(names)))}
    hosts = [manifest(path)["host"] for path in folder.rglob("*.gz")]
    assert sorted(hosts) == sorted([*names, "localhost"])
    assert {path.parent.parent for path in folder.rglob("*.gz")} == {folder}


@pytest.mark.parametrize("umask", [0, 0o077])
def test_snapshots_are_their_owners_alone(demo: Demo, folder: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        works(demo.play("playbooks/backup.yml"))
    finally:
        os.umask(before)
    (snapshot,) = snapshots_in(folder)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (snapshot.parent, *snapshot.parent.iterdir())}
    files = dict.fromkeys((".lock", snapshot.name, snapshot.with_suffix(".json").name), 0o600)
    assert modes == {"localhost": 0o700, **files}


def test_planted_links_are_not_followed(demo: Demo, folder: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o700)
    (theirs / "file").write_text("theirs")
    folder.mkdir()
    (folder / "localhost").symlink_to(theirs)
    line = error(demo.play("playbooks/backup.yml"))
    assert f"{folder}/localhost is a link" in line
    (folder / "localhost").unlink()
    (folder / "localhost").mkdir(mode=0o700)
    # It has the name that a play of this controller which has ended would have given it.
    plays = json.loads(subprocess.check_output([sys.executable, REPOSITORY / "roles/oneshot/files/plays.py"]))
    planted = folder / f"localhost/.part-planted.{plays['own'].partition('-')[0]}-{2**22}"
    planted.symlink_to(theirs)
    works(demo.play("playbooks/backup.yml"))
    assert {path.name: path.read_text() for path in theirs.iterdir()} == {"file": "theirs"}
    assert planted.is_symlink()


MAKE_LIBRARY = """
import os, sqlite3
for name in os.listdir("/data"):
    os.remove("/data/" + name)
connection = sqlite3.connect("/data/biblioteca.sqlite", isolation_level=None)
for statement in (
    "CREATE TABLE livros (isbn TEXT PRIMARY KEY, titulo TEXT NOT NULL) WITHOUT ROWID",
    'CREATE TABLE "a ""b"" [c]; --" (x BLOB, y REAL)',
    "CREATE TABLE vazia (x)",
    "CREATE VIEW titulos AS SELECT titulo FROM livros",
    "INSERT INTO livros VALUES ('1', 'Dom Casmurro'), ('2', 'Iracema')",
    "INSERT INTO \\"a \\"\\"b\\"\\" [c]; --\\" VALUES (x'00ff', 1.0), (NULL, 1), ('x', -0.5)",
    "PRAGMA user_version = 7",
):
    connection.execute(statement)
"""
DUMP_LIBRARY = """
import sqlite3
connection = sqlite3.connect("file:/data/biblioteca.sqlite?mode=ro", uri=True)
print(*connection.execute("PRAGMA user_version"), *connection.iterdump(), sep="\\n")
"""


def test_any_database_is_taken_and_put_back(engine: Engine, demo: Demo, folder: Path) -> None:
    change(engine, demo, MAKE_LIBRARY)
    dump = engine.python(demo.image, demo.volume, DUMP_LIBRARY)
    assert "(7,)" in dump
    assert "Iracema" in dump
    library = replace(demo, settings={**demo.settings, "demo_database": "biblioteca.sqlite"})
    works(library.play("playbooks/backup.yml"))
    (snapshot,) = snapshots_in(folder)
    words = manifest(snapshot)
    assert words["tables"] == {"livros": 2, 'a "b" [c]; --': 3, "vazia": 0}
    assert (words["rows"], words["database"]) == (5, "biblioteca.sqlite")
    change(engine, demo, "import os; os.remove('/data/biblioteca.sqlite')")
    works(library.play("playbooks/restore.yml", demo_backup_file=str(snapshot)))
    assert engine.python(demo.image, demo.volume, DUMP_LIBRARY) == dump
    result = library.play("playbooks/restore.yml", demo_backup_file=str(snapshot))
    assert "holds what the snapshot does already" in works(result)
    assert recap(result)["changed"] == 0
