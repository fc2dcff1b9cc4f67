"""A snapshot is one committed state, proven and hashed before it counts, whoever writes meanwhile."""

from __future__ import annotations

import hashlib
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from shared.demo import Demo, error, temporaries, works
from shared.engine import Engine
from shared.programs import repeat, role_program
from shared.snapshots import manifest, snapshot_rows, snapshots_in
from shared.system import wait_for
from shared.volumes import DAMAGE_PAGE, DEFAULT_ROWS, LEAVE_HOT_JOURNAL, change, file_hashes, fill

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
    age = datetime.now(UTC) - datetime.strptime(words.pop("created"), "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    assert 0 <= age.total_seconds() < 60
    assert words.pop("sqlite") == engine.python(
        demo.image, demo.volume, "import sqlite3; print(sqlite3.sqlite_version)"
    )
    assert words == {
        "host": "localhost",
        "volume": demo.volume,
        "database": "demo.db",
        "image": f"{demo.image}:latest",
        "image_id": engine.inspect("image", demo.image)["Id"],
        "rows": 3,
        "bytes": snapshot.stat().st_size,
        "sha256": hashlib.sha256(snapshot.read_bytes()).hexdigest(),
    }
    assert sorted(path.suffix for path in snapshot.parent.iterdir()) == [".gz", ".json"]
    assert snapshot.parent.stat().st_mode & 0o777 == 0o700
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
    take = role_program(demo, "backup", "/data/demo.db", "/snapshot/NUMBER", options=(f"--volume={mount}:ro", folder))
    words = ["replace", "/snapshot/NUMBER/snapshot.gz", "100", "/data/NUMBER.db", "true", ""]
    put = role_program(demo, "restore", *words, options=(f"--volume={restored}:/data", folder))
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
    ("harm", "words"), [(DAMAGE_PAGE, "ERRO [CORROMPIDO]"), (LEAVE_HOT_JOURNAL, "ERRO [RECUPERAR]")]
)
def test_what_cannot_be_copied_is_one_line_and_prunes_nothing(
    engine: Engine, demo: Demo, folder: Path, harm: str, words: str
) -> None:
    (folder / "localhost").mkdir(parents=True)
    older = folder / f"localhost/{demo.volume}@demo.db@20200101T000000.000000Z.gz"
    older.touch()
    change(engine, demo, harm)
    before = file_hashes(engine, demo)
    assert f"{words}: /data/demo.db" in error(demo.play("playbooks/backup.yml", demo_backup_keep=1))
    assert list(older.parent.iterdir()) == [older]
    assert file_hashes(engine, demo) == before


def test_no_volume_is_one_line(demo: Demo, folder: Path) -> None:
    result = demo.play("playbooks/backup.yml", demo_volume="molecule_nothing")
    assert "There is no volume molecule_nothing" in error(result)
    assert not folder.exists()


def test_oldest_go_beyond_those_to_keep_and_nothing_else(demo: Demo, folder: Path) -> None:
    series = f"{demo.volume}@demo.db@"
    ours = [f"{series}2020010{day}T000000.000000Z" for day in (1, 2, 3)]
    others = ["notes.gz", f"{series}notes.gz", "other@demo.db@20200101T000000.000000Z.gz", "list.json"]
    (folder / "localhost").mkdir(parents=True)
    for name in [*others, *(f"{name}{suffix}" for name in ours for suffix in (".gz", ".json"))]:
        (folder / "localhost" / name).touch()
    works(demo.play("playbooks/backup.yml", "-e", "demo_backup_keep=2"))
    left = {path.name for path in (folder / "localhost").iterdir()}
    (new,) = (path for path in snapshots_in(folder) if path.name.startswith(series + "202") and path.stat().st_size)
    assert left == {*others, ours[2] + ".gz", ours[2] + ".json", new.name, new.with_suffix(".json").name}
    works(demo.play("playbooks/backup.yml", demo_backup_keep=0))
    assert left < {path.name for path in (folder / "localhost").iterdir()}
