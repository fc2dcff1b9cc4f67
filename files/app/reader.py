"""Print the table clientes, row by row, without ever being able to change it."""

import sqlite3
from collections.abc import Iterator

import database

# Somebody else may have stored what is no text, and an id that is no number.
TEXT = "iif(typeof(id) = 'integer', id, quote(id)), iif(typeof(nome) = 'text', nome, quote(nome))"
JSON = ", ".join(
    f"json_quote(iif(typeof({column}) IN ('blob', 'real'), quote({column}), {column}))" for column in ("id", "nome")
)


def run(path: str, *, limit: int | None, as_json: bool, result: bool) -> None:
    """Print the records of the database at ``path``: as text, or one JSON object a line.

    ``limit`` is how many are printed, all if None. ``result`` asks for one line more: ``database.result``.

    Raises:
        database.Failure: the database cannot be read; the code says why.
    """
    try:
        connection = database.connect(path, "ro")
        try:
            # One transaction: what is read is what was examined.
            connection.execute("BEGIN")
            database.examine(connection, path)
            (total,) = connection.execute("SELECT count(*) FROM clientes").fetchone()
            shown = total if limit is None else min(limit, total)
            for line in read_json(connection, shown) if as_json else read_text(connection, path, shown, total):
                print(database.one_line(line))
            if result:
                print(database.result(connection, path, changed=False, registros=total))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise database.explain(error, path, writing=False) from error


def read_text(connection: sqlite3.Connection, path: str, shown: int, total: int) -> Iterator[str]:
    """Yield the lines of the demo's output; no more than one row is in memory at a time."""
    rows = select(connection, TEXT, shown)
    yield f"Lendo banco de dados em: {path}"
    if not total:
        yield "Nenhum cliente encontrado."
        return
    yield "Clientes encontrados:"
    for number, name in rows:
        yield f"{number}: {name}"
    if shown < total:
        yield f"... e mais {total - shown}, de um total de {total}."


def read_json(connection: sqlite3.Connection, shown: int) -> Iterator[str]:
    """Yield one JSON object a row; SQLite does the quoting, for importing ``json`` takes longer than all else."""
    for number, name in select(connection, JSON, shown):
        yield f'{{"id": {number}, "nome": {name}}}'


def select(connection: sqlite3.Connection, columns: str, shown: int) -> Iterator[tuple[object, object]]:
    """Return the first rows in the order of their ids."""
    first = f"FROM clientes ORDER BY id LIMIT {shown}"
    plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT {columns} {first}")
    if any("TEMP B-TREE" in step for *_, step in plan):
        # No index on id. Sorted with their names, a million rows would not fit into the container's memory.
        join = f"(SELECT _rowid_ AS row {first}) AS sorted CROSS JOIN clientes ON clientes._rowid_ = sorted.row"
        try:
            return connection.execute(f"SELECT {columns} FROM {join}")  # noqa: S608
        except sqlite3.OperationalError:
            pass  # it was made WITHOUT ROWID
    return connection.execute(f"SELECT {columns} {first}")
