"""A million records from a file, out again, and through a snapshot, without memory that grows with them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from shared.demo import REPOSITORY, Demo, environment, error, temporaries, works
from shared.engine import Engine
from shared.snapshots import snapshots_in
from shared.volumes import file_hashes, fill

MILLION = 1_000_000
SUMMARY = """
import hashlib, json, sqlite3
hash, rows = hashlib.sha256(), 0
for row in sqlite3.connect("file:/data/demo.db?mode=ro", uri=True).execute("SELECT id, nome FROM clientes ORDER BY id"):
    hash.update(json.dumps(row).encode())
    rows += 1
print(rows, hash.hexdigest())
"""

# The largest resident set, in kB, of all processes of a play. A small parent, for a child counts from its parent's on.
PEAK = """
import os, resource, sys
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status = os.waitpid(process, 0)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def summary(engine: Engine, demo: Demo) -> str:
    """Return how many rows are in the volume, and the hash of them all."""
    return engine.python(demo.image, demo.volume, SUMMARY)


def write(path: Path, count: int) -> str:
    """Write a file of ``count`` names, and return what ``summary`` must say of them."""
    digest = hashlib.sha256()
    with path.open("w", encoding="utf-8") as file:
        file.write("cidade,nome\n")
        for number in range(count):
            name = f"Cliente {number * 7_919 % count:07} José"
            file.write(f'"Belém, PA",{name}\n')
            digest.update(json.dumps((number + 1, name)).encode())
    return f"{count} {digest.hexdigest()}"


def test_million_records_outlive_it_all(engine: Engine, demo: Demo, folder: Path, tmp_path: Path) -> None:
    fill(engine, demo, "[]")
    table = tmp_path / "clientes.csv"
    expected = write(table, MILLION)
    said = works(demo.play("site.yml", "--tags=write,read", demo_clients_file=str(table)))
    assert "        1: Cliente 0000000 José\n" in said
    assert "        20: Cliente 0150461 José\n        ... e mais 999980, de um total de 1000000.\n" in said
    assert "        21: " not in said
    assert summary(engine, demo) == expected

    works(demo.play("teardown.yml", demo_backup_before_teardown=True))
    assert engine.inspect("volume", demo.volume) == {}
    assert engine.inspect("image", demo.image) == {}
    (snapshot,) = snapshots_in(folder)
    works(demo.play("playbooks/restore.yml", demo_backup_file=str(snapshot)))
    assert summary(engine, demo) == expected
    assert "de um total de 1000000.\n" in works(demo.play("site.yml", "--tags=read"))


def test_controller_takes_no_more_memory_for_many(engine: Engine, demo: Demo, tmp_path: Path) -> None:
    peaks = []
    for count in (1_000, 300_000):
        fill(engine, demo, "[]")
        table = tmp_path / "clientes.csv"
        write(table, count)
        play = demo.command("site.yml", "--tags=write,read", demo_clients_file=str(table))
        command = [sys.executable, "-I", "-S", "-c", PEAK, *play]
        result = subprocess.run(
            command, cwd=REPOSITORY, env=environment(), check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        peaks.append(int(result.stdout))
    few, many = peaks
    assert 20_000 < few < 500_000
    # The file has 10 MB.
    assert many < few + 5_000, peaks


@pytest.mark.parametrize("line", ["Silva", '"aberta', " ,"], ids=["short", "quote", "empty"])
def test_malformed_line_is_named_and_nothing_of_the_file_is_kept(
    engine: Engine, demo: Demo, tmp_path: Path, line: str
) -> None:
    table = tmp_path / "clientes.csv"
    write(table, 50_000)
    with table.open("a", encoding="utf-8") as file:
        file.write(f"{line}\nRecife,Último\n")
    before = file_hashes(engine, demo)
    assert "ERRO [USO]: linha 50002: " in error(demo.play("site.yml", "--tags=write", demo_clients_file=str(table)))
    assert file_hashes(engine, demo) == before


def test_known_records_are_counted(demo: Demo, tmp_path: Path) -> None:
    table = tmp_path / "clientes.csv"
    long = "a" * 100_000
    table.write_text(f"nome\nBruno\nDavi\n{long}\n", encoding="utf-8")
    temporary = temporaries()
    said = works(demo.play("site.yml", "--tags=write,read", demo_clients_file=str(table)))
    assert "wrote 2 new and knew 1" in said
    assert f"        3: Carla\n        4: Davi\n        5: {long}\n" in said
    assert temporaries() == temporary
