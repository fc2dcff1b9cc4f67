"""Names from a CSV file: what is taken, what is refused with its line number, and how much memory it costs."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import APP
from programs import Program, assert_error, figures, make_special, rows


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The path of a CSV file that does not exist yet."""
    return tmp_path / "clientes.csv"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("nome\nAlice\nBruno\n", ["Alice", "Bruno"]),
        ("nome\r\nAlice\r\nBruno", ["Alice", "Bruno"]),
        ("\ufeffnome\nJosé\n", ["José"]),
        ("id,nome,cidade\n1,Alice,Recife\n2,Bruno,Porto\n", ["Alice", "Bruno"]),
        ("id;nome\n1;Silva, Alice\n", ["Silva, Alice"]),
        ('nome,nota\n"Silva, Alice","uma\nnota"\n"diz ""oi""",\n', ["Silva, Alice", 'diz "oi"']),
        ("nome\n\nAlice\n\n\n", ["Alice"]),
        ('"nome";"endereço (rua, número, bairro)"\n"Alice";"Rua A, 1, Centro"\n', ["Alice"]),
        ("endereço (rua, número, bairro);nome\nRua A, 1, Centro;Alice\n", ["Alice"]),
        ('nome,"a;b;c"\nAlice,1\n', ["Alice"]),
        ("nome\n" + "a" * 200_000, ["a" * 200_000]),
        ("nome\n--json\n '; DROP TABLE clientes\n", ["--json", " '; DROP TABLE clientes"]),
    ],
)
def test_column_nome_becomes_records(
    run: Program, database: Path, table: Path, content: str, expected: list[str]
) -> None:
    table.write_bytes(content.encode())
    result = run("writer", "--result", f"--csv={table}")
    assert figures(result) == {"changed": True, "inseridos": len(expected), "existentes": 0}
    assert rows(database) == list(enumerate(expected, start=1))


def test_inserted_and_known_records_are_counted(run: Program, database: Path, table: Path) -> None:
    run("writer", "Alice")
    table.write_text("nome\nBruno\nAlice\nBruno\n")
    result = run("writer", "--result", f"--csv={table}")
    assert figures(result) == {"changed": True, "inseridos": 1, "existentes": 2}
    assert rows(database) == [(1, "Alice"), (2, "Bruno")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "linha 1:"),
        (b"Alice\nBruno\n", "linha 1:"),
        (b"nome,nome\nAlice,Bruno\n", "linha 1:"),
        (b"nome\n", "nenhum nome"),
        (b"nome\nAlice\n  \nBruno\n", "linha 3:"),
        ("nome\nAlice\n\u200b\u2060\n".encode(), "linha 3: nome vazio"),
        (b"nome,cidade\nAlice,Recife\nBruno\n", "linha 3:"),
        (b"nome,cidade\nAlice,Recife\n\nBruno,Porto,9\n", "linha 4:"),
        (b'nome\nAlice\n"Bruno\n', "linha 3:"),
        (b'nome\nAlice\n"Bruno\nCarla\nDavi\n', "linha 3:"),
        (b'nome\n"Alice"x\n', "linha 2:"),
        (b"nome\nAlice\nJos\xe9\n", "linha 3:"),
        (b"nome,cidade\nAlice,Bel\xe9m\n", "linha 2:"),
        (b'nome\n"Ali\nce"\n', "linha 2:"),
        (b"nome\nAli\0ce\n", "linha 2:"),
        (b"nome\n" + b"a" * 1_000_001, "linha 2:"),
        ("\ufeffnome\nAlice\n\ufeffnome\nBruno\n".encode(), "linha 3: aqui começa outro arquivo"),
        ("nome\nAlice\ufeffnome\nBruno\n".encode(), "linha 2: aqui começa outro arquivo"),
        (b"nome\n" + 400_000 * b"Alice\n" + b"\xff\n", "linha 400002:"),
    ],
    ids=lambda value: str(value[:20]),
)
def test_malformed_line_is_named_and_nothing_is_kept(
    run: Program, database: Path, table: Path, content: bytes, words: str
) -> None:
    table.write_bytes(content)
    result = run("writer", f"--csv={table}")
    assert_error(result, "USO", 2)
    assert words in result.stderr
    assert not database.exists()


@pytest.mark.parametrize("path", ["/nowhere.csv", "/dev/null", "/"])
def test_what_is_no_file_is_refused(run: Program, database: Path, path: str) -> None:
    assert_error(run("writer", f"--csv={path}"), "USO", 2)
    assert not database.exists()


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "link"])
def test_what_would_never_end_is_refused_at_once(run: Program, database: Path, table: Path, kind: str) -> None:
    make_special(table, kind)
    assert_error(run("writer", f"--csv={table}"), "USO", 2)
    assert not database.exists()


def test_file_and_names_together_are_refused(run: Program, table: Path) -> None:
    table.write_text("nome\nAlice\n")
    assert_error(run("writer", f"--csv={table}", "Bruno"), "USO", 2)


def test_memory_does_not_grow_with_the_rows(database: Path, table: Path) -> None:
    peaks = []
    for count in (20_000, 400_000):
        table.write_text("nome\n" + "".join(f"Cliente {number}\n" for number in range(count)))
        peaks.append([peak(database, "writer", f"--csv={table}"), peak(database, "reader")])
        assert len(rows(database)) == count
    few, many = peaks
    assert all(after < before + 2_000 for before, after in zip(few, many, strict=True)), peaks


def test_table_that_must_be_sorted_fits_into_the_memory_of_the_container(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE clientes (id INTEGER, nome TEXT)")
        count = 200_000
        rows = ((number * 7919 % count, f"{number:0500}") for number in range(count))
        connection.executemany("INSERT INTO clientes VALUES (?, ?)", rows)
    assert peak(database, "reader") < 40_000, "its names take 100 MB"


def peak(database: Path, command: str, argument: str = "--limit=99999999") -> int:
    """Run a program; return its largest resident set, in kB."""
    # A child counts from the size of its parent on, and that of the tests is large.
    parent = """
import os, sys
process = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ)
_, status, usage = os.wait4(process, 0)
print(usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""
    program = ["-I", "-S", "-B", str(APP), command, f"--database={database}", argument]
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", parent, *program], check=True, capture_output=True, timeout=60
    )
    return int(result.stderr)
