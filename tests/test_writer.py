"""The writer: one transaction, each name once, and one line for every error."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from database import open_for_writing
from programs import Program, assert_error, rows


def test_says_where_it_wrote_and_how_many(run: Program, database: Path) -> None:
    result = run("writer", "Alice", "Bruno")
    assert result.stdout.splitlines() == [
        f"Gravando banco de dados em: {database}",
        "Clientes inseridos: 2",
        "Clientes já existentes: 0",
    ]
    assert (result.returncode, result.stderr) == (0, "")
    assert rows(database) == [(1, "Alice"), (2, "Bruno")]


def test_table_is_as_the_contract_has_it(run: Program, database: Path) -> None:
    run("writer", "Alice")
    with sqlite3.connect(database) as connection:
        (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'clientes'").fetchone()
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    assert sql == "CREATE TABLE clientes (id INTEGER PRIMARY KEY, nome TEXT NOT NULL UNIQUE)"
    assert mode == "delete"


def test_commit_waits_for_the_disk(database: Path) -> None:
    connection = open_for_writing(str(database))
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "2 is FULL"
    connection.close()


def test_same_names_again_add_nothing_and_leave_the_file_alone(run: Program, database: Path) -> None:
    run("writer", "Alice", "Bruno")
    before = database.read_bytes()
    result = run("writer", "--json", "Bruno", "Alice", "Alice")
    assert json.loads(result.stdout) == {"inseridos": 0, "existentes": 3}
    assert database.read_bytes() == before


def test_ids_have_no_gaps(run: Program, database: Path) -> None:
    run("writer", "Alice", "Bruno")
    run("writer", "Alice", "Carla", "Bruno", "Davi")
    assert rows(database) == [(1, "Alice"), (2, "Bruno"), (3, "Carla"), (4, "Davi")]


@pytest.mark.parametrize(
    "name",
    [
        "José",
        "مرحبا",
        "\u202eabc",
        "'; DROP TABLE clientes; --",
        "--json",
        "-h",
        "../../etc/passwd",
        "$(id)",
        " a ",
        "😀",
    ],
)
def test_name_is_stored_as_it_is(run: Program, database: Path, name: str) -> None:
    assert run("writer", "--", name).returncode == 0
    assert rows(database) == [(1, name)]


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\rb", "\x1b[31m", "a\x85b", "a\u2028b", "\udcff"])
def test_name_that_is_no_line_of_text_is_refused_and_nothing_written(run: Program, database: Path, name: str) -> None:
    assert_error(run("writer", "--", "Alice", name), "USO", 2)
    assert not database.exists()


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--unknown", "Alice"], ["--limit=1", "Alice"]])
def test_wrong_arguments(run: Program, database: Path, arguments: list[str]) -> None:
    assert_error(run("writer", *arguments), "USO", 2)
    assert not database.exists()


@pytest.mark.parametrize("content", [b"not a database, but long enough to be read as one " * 100, b"SQLite format 3\0"])
def test_other_file_is_left_as_it_was(run: Program, database: Path, content: bytes) -> None:
    database.write_bytes(content)
    assert_error(run("writer", "Alice"), "CORROMPIDO", 4)
    assert database.read_bytes() == content


def test_damaged_database_is_left_as_it_was(run: Program, database: Path) -> None:
    run("writer", *(f"{number:0100}" for number in range(1000)))
    damaged = bytearray(database.read_bytes())
    damaged[5 * 4096 : 6 * 4096] = bytes(4096)
    database.write_bytes(damaged)
    assert_error(run("writer", "Alice"), "CORROMPIDO", 4)
    assert database.read_bytes() == damaged


def test_folder_in_place_of_the_file(run: Program, database: Path) -> None:
    database.mkdir()
    assert_error(run("writer", "Alice"), "CORROMPIDO", 4)


def test_database_of_another_program_is_left_as_it_was(run: Program, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE notes (text)")
    before = database.read_bytes()
    assert_error(run("writer", "Alice"), "SEM_BANCO", 3)
    assert database.read_bytes() == before


def test_table_with_a_column_that_must_be_given_is_left_as_it_was(run: Program, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE clientes (id INTEGER PRIMARY KEY, nome TEXT UNIQUE, email TEXT NOT NULL)")
    before = database.read_bytes()
    assert_error(run("writer", "Alice"), "SEM_BANCO", 3)
    assert database.read_bytes() == before


def test_locked_database(run: Program, database: Path) -> None:
    run("writer", "Alice")
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert_error(run("writer", "Bruno"), "OCUPADO", 6)
    other.execute("ROLLBACK")
    assert run("writer", "Bruno").returncode == 0


def test_folder_that_does_not_exist(run: Program, database: Path) -> None:
    database.parent.rmdir()
    assert_error(run("writer", "Alice"), "SEM_ESPACO", 7)


def test_database_in_wal_mode_becomes_one_that_a_reader_can_open(run: Program, database: Path) -> None:
    run("writer", "Alice")
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    assert run("writer", "Bruno").returncode == 0
    assert database.read_bytes()[18:20] == b"\x01\x01"
