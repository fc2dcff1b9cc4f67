"""Print the table clientes, row by row, without ever being able to change it."""

import itertools
import sqlite3
from collections.abc import Iterator

import database


def run(path: str, *, limit: int | None, as_json: bool, proof: bool) -> None:
    """Print the records of the database at ``path``: as text, or one JSON object a line.

    ``limit`` is how many are printed, all if None; every one is read. ``proof`` asks for one line more: what
    ``database.evidence`` says of just the state that was read.

    Raises:
        database.Failure: the database cannot be read; the code says why.
    """
    try:
        connection = database.open_for_reading(path)
        try:
            # One transaction: what is read is what was examined.
            connection.execute("BEGIN")
            database.examine(connection, path)
            for line in read_json(connection, limit) if as_json else read_text(connection, path, limit):
                print(line)
            if proof:
                print(database.evidence(connection, path))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise database.explain(error, path, writing=False) from error


def read_text(connection: sqlite3.Connection, path: str, limit: int | None) -> Iterator[str]:
    """Yield the lines of the demo's output; no more than one row is in memory at a time."""
    rows: Iterator[tuple[int, str]] = connection.execute("SELECT id, nome FROM clientes ORDER BY id")
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


def read_json(connection: sqlite3.Connection, limit: int | None) -> Iterator[str]:
    """Yield one JSON object a row; SQLite does the quoting, for importing ``json`` doubles the start."""
    rows = connection.execute("SELECT id, json_quote(nome) FROM clientes ORDER BY id")
    for number, name in itertools.islice(rows, limit):
        yield f'{{"id": {number}, "nome": {name}}}'
