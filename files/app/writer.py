"""Insert names into the table clientes: all of them in one transaction, each of them once."""

import sqlite3
import unicodedata
from collections.abc import Callable, Iterable, Iterator

import database


def run(path: str, read: Callable[[], Iterable[tuple[int, str]]], unit: str, *, as_json: bool, proof: bool) -> None:
    """Write names to the database at ``path`` and print how many were new and how many known.

    No more than one name is in memory at a time.

    Args:
        path: the database, made where there is none.
        read: gives the names with their numbers, from the first on, each time that it is called.
        unit: what the numbers count, in Portuguese: ``nome`` or ``linha``.
        as_json: print one JSON object.
        proof: print one line more: what ``database.evidence`` says when all is written.

    Raises:
        database.Failure: nothing was written; the code says why.
    """
    # The whole input is checked before the database is touched.
    total = sum(1 for _ in check(read(), unit))
    if not total:
        raise database.Failure("USO", "nenhum nome foi dado; dê ao menos um.")
    try:
        connection = database.open_for_writing(path)
        try:
            inserted = insert(connection, check(read(), unit))
            known = total - inserted
            if as_json:
                print(f'{{"inseridos": {inserted}, "existentes": {known}}}')
            else:
                print(f"Gravando banco de dados em: {path}")
                print(f"Clientes inseridos: {inserted}")
                print(f"Clientes já existentes: {known}")
            if proof:
                print(database.evidence(connection, path))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise database.explain(error, path, writing=True) from error


def check(names: Iterable[tuple[int, str]], unit: str) -> Iterator[str]:
    """Yield the names one by one.

    Raises:
        database.Failure: USO for the first that cannot be a record: no name, or not one line of text.
    """
    for number, name in names:
        if not name.strip():
            raise database.Failure("USO", f"{unit} {number}: nome vazio; dê um com ao menos uma letra.")
        # What can be printed needs no second look, which is slow.
        # Cc: control characters, line feed among them; Cs: bytes that are not UTF-8; Zl, Zp: line breaks.
        if not name.isprintable() and any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in name):
            raise database.Failure("USO", f"{unit} {number}: não é uma linha de texto UTF-8: {name[:40]!a}")
        yield name


def insert(connection: sqlite3.Connection, names: Iterable[str]) -> int:
    """Insert the names that the table does not hold, in one durable transaction; return how many."""
    try:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(database.SCHEMA)
            rows = ((name,) for name in names)
            return connection.executemany(
                "INSERT INTO clientes (nome) VALUES (?) ON CONFLICT (nome) DO NOTHING", rows
            ).rowcount
    except sqlite3.Error as error:
        # On a full disk SQLite leaves the rollback to whoever reads next, and a reader's read-only mount cannot do it.
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
            connection.execute("PRAGMA schema_version")
        raise
