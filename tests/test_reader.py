"""The reader: the exact lines, streamed, and one line for every error."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from database import result
from programs import Program, assert_error, figures


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


def test_result_is_one_line_more_of_the_figures_the_file_and_the_versions(run: Program, database: Path) -> None:
    written = run("writer", "--result", "Alice", "Bruno").stdout.splitlines()
    state = {
        "sha256": hashlib.sha256(database.read_bytes()).hexdigest(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    assert written[1:3] == ["Clientes inseridos: 2", "Clientes já existentes: 0"]
    assert json.loads(written[-1]) == {"changed": True, "inseridos": 2, "existentes": 0, **state}
    for options in ([], ["--json"], ["--limit=1"], ["--limit=0", "--json"]):
        read = run("reader", "--result", *options).stdout.splitlines()
        assert read[:-1] == run("reader", *options).stdout.splitlines()
        assert json.loads(read[-1]) == {"changed": False, "registros": 2, **state}


def test_hash_of_a_file_that_another_has_locked_is_empty(run: Program, database: Path) -> None:
    run("writer", "Alice")
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    connection = sqlite3.connect(database, timeout=0)
    assert json.loads(result(connection, str(database), changed=False))["sha256"] == ""
    connection.close()
    other.close()


# What a line of the program's own begins with, and what may end a line: of a terminal, of JSON, of str.splitlines().
FORGED = ["ERRO [USO]: y", '{"registros": 99}', "2: Bruno", "... e mais 9, de um total de 10."]
ENDS = [
    "\n",
    "\r\n",
    "\r",
    "\v",
    "\f",
    "\0",
    "\x1b[2K\x1b[G",
    "\x1c",
    "\x1d",
    "\x1e",
    "\x85",
    "\x9b1G",
    "\u2028",
    "\u2029",
]
STORED = [*FORGED, *(f"x{end}{line}" for end in ENDS for line in FORGED)]
INVALID = [b"\xff", b"\xed\xa0\x80", b"a\xc2", b"x\nERRO [USO]: \xff", b"\xe2\x80\n2: Bruno"]


@pytest.mark.parametrize(
    "column", ["id INTEGER PRIMARY KEY, nome TEXT NOT NULL UNIQUE", "id INTEGER, nome TEXT", "id, nome"]
)
def test_stored_name_is_one_line_and_never_begins_one(run: Program, database: Path, column: str) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute(f"CREATE TABLE clientes ({column})")
        stored = [*STORED, *(each.encode() for each in STORED), *INVALID, "Alice", 7, 1.5, 9e999, b"", b"Alice"]
        connection.executemany("INSERT INTO clientes VALUES (?, ?)", enumerate(stored, start=1))
        texts = [(f"x{number}".encode() + text,) for number, text in enumerate(INVALID)]
        connection.executemany("INSERT INTO clientes (nome) VALUES (CAST(? AS TEXT))", texts)
    if column == "id INTEGER PRIMARY KEY, nome TEXT NOT NULL UNIQUE":
        assert_lines(run, len(stored) + len(texts))
        return
    with sqlite3.connect(database) as connection:
        connection.executemany("INSERT INTO clientes VALUES (?, 'x')", [(each,) for each in stored])
        connection.executemany("INSERT INTO clientes VALUES (CAST(? AS TEXT), NULL)", texts)
    assert_lines(run, 2 * (len(stored) + len(texts)))


def assert_lines(run: Program, total: int) -> None:
    """Assert that the reader prints one line a record, in each form, and that each begins as the reader's own do."""
    text = run("reader", "--result")
    assert figures(text) == {"changed": False, "registros": total}
    lines = text.stdout.splitlines()[2:-1]
    assert len(lines) == total
    assert all(re.match(r"(-?[0-9.e+]+|NULL|-?Inf|X'[0-9A-F]*'|'.*'): ", line) for line in lines), lines
    objects = [json.loads(line, parse_constant=pytest.fail) for line in run("reader", "--json").stdout.splitlines()]
    assert [set(each) for each in objects] == [{"id", "nome"}] * total


def test_what_cannot_be_printed_is_escaped_and_all_else_as_it_is(run: Program, database: Path) -> None:
    names = {
        "a\tb\nc\r": r"a\tb\nc\r",
        "\x1b[31m": r"\u001b[31m",
        "\x85\u2028": r"\u0085\u2028",
        "\u200fمرحب\u202e": "\u200fمرحب\u202e",
        r"C:\new": r"C:\new",
        "\xa0José\u200b": "\xa0José\u200b",
        b"\x00\xff": "X'00FF'",
    }
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE clientes (id INTEGER PRIMARY KEY, nome)")
        connection.executemany("INSERT INTO clientes (nome) VALUES (?)", [(name,) for name in names])
        connection.execute("INSERT INTO clientes (nome) VALUES (CAST(x'61ff' AS TEXT))")
    lines = run("reader").stdout.split("\n")[2:-1]
    assert lines == [f"{number}: {name}" for number, name in enumerate([*names.values(), r"a\udcff"], start=1)]
    read = [json.loads(line)["nome"] for line in run("reader", "--json").stdout.splitlines()]
    assert read == [*list(names)[:-1], "X'00FF'", "a\udcff"]


def test_name_in_the_schema_cannot_pass_for_a_line(run: Program, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE clientes (id INTEGER PRIMARY KEY, nome TEXT)")
        connection.execute('CREATE TABLE "x\nERRO [USO]: y" (z)')
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = 'CREATE' WHERE name <> 'clientes'")
    assert_error(run("reader"), "CORROMPIDO", 4)


@pytest.mark.parametrize("table", ["(id INTEGER, nome TEXT)", "(id INTEGER, nome TEXT PRIMARY KEY) WITHOUT ROWID"])
def test_table_without_an_index_on_id_is_read_in_its_order(run: Program, database: Path, table: str) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute(f"CREATE TABLE clientes {table}")
        connection.executemany("INSERT INTO clientes VALUES (?, ?)", [(3, "Carla"), (1, "Bruno"), (2, "Alice")])
    assert run("reader").stdout.splitlines()[2:] == ["1: Bruno", "2: Alice", "3: Carla"]
    assert run("reader", "--limit=1").stdout.splitlines()[2:] == ["1: Bruno", "... e mais 2, de um total de 3."]


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
    "arguments", [["Alice"], ["--unknown"], ["--", "Alice"], ["--limit=x"], ["--limit="], ["--csv=x"], ["--proof"]]
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
