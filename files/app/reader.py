"""Print the table clientes, row by row, without ever being able to change it."""

import sqlite3
from collections.abc import Iterator

import database


def run(path: str, *, as_json: bool) -> None:
    """Print every record of the database at ``path``: as text, or one JSON object a line.

    Raises:
        database.Failure: the database cannot be read; the code says why.
    """
    try:
        lines = read_json(path) if as_json else read_text(path)
        for line in lines:
            print(line)
    except sqlite3.Error as error:
        raise database.explain(error, path, writing=False) from error


def read_text(path: str) -> Iterator[str]:
    """Yield the lines of the demo's output; no more than one row is in memory at a time."""
    rows = select(path, "SELECT id, nome FROM clientes ORDER BY id")
    first = next(rows, None)
    yield f"Lendo banco de dados em: {path}"
    if first is None:
        yield "Nenhum cliente encontrado."
        return
    yield "Clientes encontrados:"
    yield f"{first[0]}: {first[1]}"
    for number, name in rows:
        yield f"{number}: {name}"


def read_json(path: str) -> Iterator[str]:
    """Yield one JSON object a row; SQLite does the quoting, for importing ``json`` doubles the start."""
    for number, name in select(path, "SELECT id, json_quote(nome) FROM clientes ORDER BY id"):
        yield f'{{"id": {number}, "nome": {name}}}'


def select(path: str, query: str) -> Iterator[tuple[int, str]]:
    """Yield the rows of ``query`` one by one.

    Raises:
        sqlite3.Error: what SQLite reports, at the first row or at any later one.
    """
    connection = database.open_for_reading(path)
    try:
        yield from connection.execute(query)
    finally:
        connection.close()
