"""The writer: one transaction, each name once, and one line for every error."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import APP
from database import open_for_writing
from programs import Program, assert_error, figures, make_special, rows


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
    result = run("writer", "--result", "Bruno", "Alice", "Alice")
    assert figures(result) == {"changed": False, "inseridos": 0, "existentes": 3}
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
        "--result",
        "-h",
        "../../etc/passwd",
        "$(id)",
        " a ",
        "😀",
        "\u200eمرحب\u200f",
        "👩\u200d🚀",
        "\u2764\ufe0f",
        "ن\u0651",
        "\u3164a",
        ".",
    ],
)
def test_name_is_stored_as_it_is(run: Program, database: Path, name: str) -> None:
    assert run("writer", "--", name).returncode == 0
    assert rows(database) == [(1, name)]


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\rb", "\x1b[31m", "a\x85b", "a\u2028b", "\udcff"])
def test_name_that_is_no_line_of_text_is_refused_and_nothing_written(run: Program, database: Path, name: str) -> None:
    assert_error(run("writer", "--", "Alice", name), "USO", 2)
    assert not database.exists()


@pytest.mark.parametrize(
    "name",
    [
        "\u200b",
        "\u200d\u200d",
        "\ufeff",
        "\u2060",
        "\xad",
        "\u200e\u200f",
        "\u202e",
        "\u2066\u2069",
        "\ufe0f",
        "\U000e0100",
        "\u034f",
        "\xa0",
        "\u3000",
        " \u200b \u2060 ",
        "\u3164",
        "\u115f",
        "\uffa0",
        "\u2800",
        "\u180e",
        "\u0301",
        "\t",
    ],
    ids=ascii,
)
def test_name_that_shows_nothing_is_empty(run: Program, database: Path, name: str) -> None:
    result = run("writer", "--", "Alice", name)
    assert_error(result, "USO", 2)
    assert "nome 2: nome vazio" in result.stderr
    assert not database.exists()


@pytest.mark.parametrize(
    "arguments",
    [[], ["--result"], ["--json", "Alice"], ["--proof", "Alice"], ["--unknown", "Alice"], ["--limit=1", "Alice"]],
)
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
    result = run("writer", "Alice")
    assert_error(result, "USO", 2)
    assert f"{database.parent} não existe" in result.stderr
    assert not database.parent.exists()


def assert_not_permitted(result: subprocess.CompletedProcess[str], place: Path) -> None:
    """Assert that a writer says what it may not write, whose that is and who it is, and nothing of space."""
    assert_error(result, "SEM_PERMISSAO", 8)
    assert f"{place} pertence ao usuário {place.stat().st_uid}" in result.stderr
    assert f"usuário {os.getuid()};" in result.stderr
    assert "espaço" not in result.stderr


def test_folder_that_the_user_may_not_write_to(run: Program, database: Path) -> None:
    database.parent.chmod(0o555)
    assert_not_permitted(run("writer", "Alice"), database.parent)
    database.parent.chmod(0o755)
    assert not database.exists()


def test_file_or_folder_that_the_user_may_no_longer_write_to(run: Program, database: Path) -> None:
    run("writer", "Alice")
    for place, mode in ((database.parent, 0o755), (database, 0o644)):
        place.chmod(mode & 0o555)
        assert_not_permitted(run("writer", "Bruno"), place)
        place.chmod(mode)
    assert rows(database) == [(1, "Alice")]
    assert os.listdir(database.parent) == [database.name]


def test_folder_that_the_user_may_not_enter(run: Program, database: Path) -> None:
    database.parent.chmod(0)
    result = run("writer", "Alice")
    database.parent.chmod(0o755)
    assert_error(result, "SEM_PERMISSAO", 8)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")
def test_folder_that_is_mounted_read_only(run: Program, database: Path) -> None:
    run("writer", "Alice")
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    program = [sys.executable, "-I", "-B", str(APP), "writer", f"--database={database}", "Bruno"]
    mounted = ["unshare", "--mount", "sh", "-c", script, "sh", str(database.parent), *program]
    result = subprocess.run(mounted, check=False, capture_output=True, encoding="utf-8")
    assert_error(result, "SEM_PERMISSAO", 8)
    assert "somente para leitura" in result.stderr
    assert rows(database) == [(1, "Alice")]


def test_disk_without_space(run: Program, database: Path) -> None:
    run("writer", "Alice")
    before = database.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        result = run("writer", *(f"{number:01000}" for number in range(100)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert_error(result, "SEM_ESPACO", 7)
    assert "Libere espaço" in result.stderr
    assert run("writer", "Alice").returncode == 0
    assert database.read_bytes() == before


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "link"])
@pytest.mark.parametrize("suffix", ["", "-journal", "-wal"])
@pytest.mark.parametrize("command", [["writer", "Alice"], ["reader"]], ids=["writer", "reader"])
def test_what_is_no_file_is_refused_at_once(
    run: Program, database: Path, command: list[str], suffix: str, kind: str
) -> None:
    if suffix:
        run("writer", "Alice")
    make_special(database.with_name(f"{database.name}{suffix}"), kind)
    assert_error(run(*command), "CORROMPIDO", 4)


def test_path_cannot_pass_for_a_line(database: Path) -> None:
    path = f"{database}\nERRO [USO]: x\udcff"
    program = [sys.executable, "-I", "-B", str(APP), "writer", f"--database={path}"]
    written = subprocess.run([*program, "Alice"], check=True, capture_output=True, encoding="utf-8")
    assert written.stdout.splitlines()[0] == f"Gravando banco de dados em: {database}\\nERRO [USO]: x\\udcff"
    os.remove(path)
    os.mkdir(path)
    assert_error(subprocess.run([*program, "A"], check=False, capture_output=True, encoding="utf-8"), "CORROMPIDO", 4)


def test_database_in_wal_mode_becomes_one_that_a_reader_can_open(run: Program, database: Path) -> None:
    run("writer", "Alice")
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    assert run("writer", "Bruno").returncode == 0
    assert database.read_bytes()[18:20] == b"\x01\x01"
