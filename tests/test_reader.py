"""The reader: the exact lines, streamed, and one line for every error."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from database import evidence
from programs import Program, assert_error


def test_prints_exactly_what_the_original_does(run: Program, database: Path) -> None:
    run("writer", "Alice", "Bruno", "Carla")
    result = run("reader")
    assert (
        result.stdout == f"Lendo banco de dados em: {database}\nClientes encontrados:\n1: Alice\n2: Bruno\n3: Carla\n"
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_no_records(run: Program, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE clientes (id INTEGER PRIMARY KEY, nome TEXT NOT NULL UNIQUE)")
    assert run("reader").stdout == f"Lendo banco de dados em: {database}\nNenhum cliente encontrado.\n"
    assert run("reader", "--json").stdout == ""


def test_json_is_one_object_a_line(run: Program) -> None:
    names = ["Alice", 'a "quoted" \\ name', "José", "😀", "</script>"]
    run("writer", "--", *names)
    lines = run("reader", "--json").stdout.splitlines()
    assert lines[0] == '{"id": 1, "nome": "Alice"}'
    assert [json.loads(line) for line in lines] == [{"id": i, "nome": name} for i, name in enumerate(names, start=1)]


def test_proof_is_one_line_more_of_the_file_and_the_versions(run: Program, database: Path) -> None:
    written = run("writer", "--proof", "Alice").stdout.splitlines()
    expected = {
        "sha256": hashlib.sha256(database.read_bytes()).hexdigest(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    read = run("reader", "--proof").stdout.splitlines()
    assert read[:-1] == run("reader").stdout.splitlines()
    assert [json.loads(lines[-1]) for lines in (written, read)] == [expected, expected]


def test_proof_of_a_file_that_another_has_locked_is_empty(run: Program, database: Path) -> None:
    run("writer", "Alice")
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    connection = sqlite3.connect(database, timeout=0)
    assert evidence(connection, str(database)) == "{}"
    connection.close()
    other.close()


def test_changes_nothing(run: Program, database: Path) -> None:
    run("writer", "Alice")
    before = (database.read_bytes(), database.stat().st_mtime_ns, os.listdir(database.parent))
    run("reader")
    assert (database.read_bytes(), database.stat().st_mtime_ns, os.listdir(database.parent)) == before


@pytest.mark.parametrize("name", ["a?mode=rw", "50%41", "a#b", "a b"])
def test_path_is_taken_as_it_is(database: Path, name: str) -> None:
    path = database.parent / name
    app = Path(__file__).parents[1] / "files" / "app"
    for command, *names in (["writer", "Alice"], ["reader"]):
        program = [sys.executable, "-I", "-S", "-B", str(app), command, f"--database={path}", *names]
        assert subprocess.run(program, check=False, capture_output=True).returncode == 0
    assert os.listdir(database.parent) == [name]


def test_no_database(run: Program, database: Path) -> None:
    assert_error(run("reader"), "SEM_BANCO", 3)
    assert not database.exists()


def test_no_table(run: Program, database: Path) -> None:
    database.touch()
    assert_error(run("reader"), "SEM_BANCO", 3)


def test_table_of_another_program(run: Program, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE clientes (codigo TEXT)")
    assert_error(run("reader"), "SEM_BANCO", 3)


def test_folder_in_place_of_the_file(run: Program, database: Path) -> None:
    database.mkdir()
    assert_error(run("reader"), "CORROMPIDO", 4)


def test_other_file(run: Program, database: Path) -> None:
    database.write_bytes(b"not a database, but long enough to be read as one " * 100)
    assert_error(run("reader"), "CORROMPIDO", 4)


def test_damaged_index_is_seen_although_the_rows_are_read_without_it(run: Program, database: Path) -> None:
    run("writer", "Alice", "Bruno")
    damaged = bytearray(database.read_bytes())
    index = damaged.index(b"Alice", 2 * 4096)
    damaged[index : index + 5] = b"Amara"
    database.write_bytes(damaged)
    assert_error(run("reader"), "CORROMPIDO", 4)
    assert database.read_bytes() == damaged


def test_text_that_is_not_utf_8(run: Program, database: Path) -> None:
    run("writer", "Alice")
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE clientes SET nome = CAST(x'ff' AS TEXT)")
    assert_error(run("reader"), "CORROMPIDO", 4)


def test_locked_database(run: Program, database: Path) -> None:
    run("writer", "Alice")
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert_error(run("reader"), "OCUPADO", 6)
    other.execute("ROLLBACK")


def test_interrupted_write_is_recovered_by_the_writer(run: Program, database: Path) -> None:
    run("writer", "Alice", "Bruno")
    kill_in_the_middle_of_a_transaction(database)
    assert_error(run("reader"), "RECUPERAR", 5)
    assert run("writer", "Alice").returncode == 0
    assert run("reader").stdout.splitlines()[2:] == ["1: Alice", "2: Bruno"]


def kill_in_the_middle_of_a_transaction(database: Path) -> None:
    """Leave a hot journal: a process that has written part of a transaction to the file kills itself."""
    code = f"""
import os, sqlite3
connection = sqlite3.connect({str(database)!r}, isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.executemany("INSERT INTO clientes (nome) VALUES (?)", ((f"x{{i:0500}}",) for i in range(1000)))
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert database.with_name("demo.db-journal").stat().st_size > 0


@pytest.mark.parametrize(
    "arguments", [["Alice"], ["--unknown"], ["--", "Alice"], ["--limit=x"], ["--limit="], ["--csv=x"]]
)
def test_wrong_arguments(run: Program, arguments: list[str]) -> None:
    assert_error(run("reader", *arguments), "USO", 2)


def test_unknown_command(run: Program) -> None:
    assert_error(run("remover"), "USO", 2)


def test_limit_shows_the_first_and_counts_the_rest(run: Program, database: Path) -> None:
    run("writer", "Alice", "Bruno", "Carla")
    lines = [f"Lendo banco de dados em: {database}", "Clientes encontrados:", "1: Alice", "2: Bruno"]
    assert run("reader", "--limit=2").stdout.splitlines() == [*lines, "... e mais 1, de um total de 3."]
    assert run("reader", "--limit=3").stdout.splitlines() == [*lines, "3: Carla"]
    assert run("reader", "--limit=2", "--json").stdout.splitlines() == [
        '{"id": 1, "nome": "Alice"}',
        '{"id": 2, "nome": "Bruno"}',
    ]
