"""Print the table clientes, row by row, without ever being able to change it."""

import itertools
import sqlite3
from collections.abc import Iterator

import database


def run(path: str, *, limit: int | None, as_json: bool) -> None:
    """Print the records of the database at ``path``: as text, or one JSON object a line.

    ``limit`` is how many are printed, all if None; every one is read.

    Raises:
        database.Failure: the database cannot be read; the code says why.
    """
    try:
        lines = read_json(path, limit) if as_json else read_text(path, limit)
        for line in lines:
            print(line)
    except sqlite3.Error as error:
        raise database.explain(error, path, writing=False) from error


def read_text(path: str, limit: int | None) -> Iterator[str]:
    """Yield the lines of the demo's output; no more than one row is in memory at a time."""
    rows = select(path, "SELECT id, nome FROM clientes ORDER BY id")
    first = next(rows, None)
    yield f"Lendo banco de dados em: {path}"
    if first is None:
        yield "Nenhum cliente encontrado."
        return
    yield "Clientes encontrados:"
    rows = itertools.chain([first], rows)
    for number, name in itertools.islice(rows, limit):
        yield f"{number}: {name}"
    rest = sum(1 for _ in rows)
    if limit is not None and rest:
        yield f"... e mais {rest}, de um total de {limit + rest}."


def read_json(path: str, limit: int | None) -> Iterator[str]:
    """Yield one JSON object a row; SQLite does the quoting, for importing ``json`` doubles the start."""
    rows = select(path, "SELECT id, json_quote(nome) FROM clientes ORDER BY id")
    for number, name in itertools.islice(rows, limit):
        yield f'{{"id": {number}, "nome": {name}}}'


def select(path: str, query: str) -> Iterator[tuple[int, str]]:
    """Yield the rows of ``query`` one by one, of a database that was found intact.

    Raises:
        database.Failure: SEM_BANCO if it is another program's database, CORROMPIDO if it is not intact.
        sqlite3.Error: what SQLite reports, at the first row or at any later one.
    """
    connection = database.open_for_reading(path)
    try:
        # One transaction: what is read is what was examined.
        connection.execute("BEGIN")
        database.examine(connection, path)
        yield from connection.execute(query)
    finally:
        connection.close()
