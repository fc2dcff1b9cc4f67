"""Insert names into the table clientes: all of them in one transaction, each of them once."""

import sqlite3
from collections.abc import Callable, Iterable

import database
import names


def run(path: str, read: Callable[[], Iterable[tuple[int, str]]], unit: str, *, result: bool) -> None:
    """Write names to the database at ``path`` and print how many were new and how many known.

    No more than one name is in memory at a time.

    Args:
        path: the database, made where there is none.
        read: gives the names with their numbers, from the first on, each time that it is called.
        unit: what the numbers count, in Portuguese: ``nome`` or ``linha``.
        result: print one line more: ``database.result``, when all is written.

    Raises:
        database.Failure: nothing was written; the code says why.
    """
    # The whole input is checked before the database is touched.
    total = sum(1 for _ in names.check(read(), unit))
    if not total:
        raise database.Failure("USO", "nenhum nome foi informado; informe ao menos um.")
    try:
        connection = database.open_for_writing(path)
        try:
            inserted = insert(connection, names.check(read(), unit))
            known = total - inserted
            print(database.one_line(f"Gravando banco de dados em: {path}"))
            print(f"Clientes inseridos: {inserted}")
            print(f"Clientes já existentes: {known}")
            if result:
                print(database.result(connection, path, changed=inserted > 0, inseridos=inserted, existentes=known))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise database.explain(error, path, writing=True) from error


def insert(connection: sqlite3.Connection, checked: Iterable[str]) -> int:
    """Insert the names that the table does not hold, in one durable transaction; return how many."""
    try:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(database.SCHEMA)
            command = "INSERT INTO clientes (nome) VALUES (?) ON CONFLICT (nome) DO NOTHING"
            return connection.executemany(command, ((name,) for name in checked)).rowcount
    except sqlite3.Error as error:
        # On a full disk SQLite leaves the rollback to whoever reads next, and a reader's read-only mount cannot do it.
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
            connection.execute("PRAGMA schema_version")
        raise
