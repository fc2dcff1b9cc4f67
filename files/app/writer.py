"""Insert names into the table clientes: all of them in one transaction, each of them once."""

import sqlite3
import unicodedata
from collections.abc import Sequence

import database


def run(path: str, names: Sequence[str], *, as_json: bool) -> None:
    """Write ``names`` to the database at ``path`` and print how many were new and how many known.

    Raises:
        database.Failure: nothing was written; the code says why.
    """
    check(names)
    try:
        inserted = insert(path, names)
    except sqlite3.Error as error:
        raise database.explain(error, path, writing=True) from error
    known = len(names) - inserted
    if as_json:
        print(f'{{"inseridos": {inserted}, "existentes": {known}}}')
    else:
        print(f"Gravando banco de dados em: {path}")
        print(f"Clientes inseridos: {inserted}")
        print(f"Clientes já existentes: {known}")


def check(names: Sequence[str]) -> None:
    """Raise Failure USO for the first of ``names`` that cannot be a record: no name, or not one line of text."""
    if not names:
        raise database.Failure("USO", "nenhum nome foi dado; uso: writer [--json] [--database=ARQUIVO] NOME...")
    for number, name in enumerate(names, start=1):
        if not name.strip():
            raise database.Failure("USO", f"o nome {number} está vazio; dê um nome com ao menos uma letra.")
        # Cc: control characters, line feed among them; Cs: bytes that are not UTF-8; Zl, Zp: line breaks.
        if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
            raise database.Failure("USO", f"o nome {number} não é uma linha de texto UTF-8: {name[:40]!a}")


def insert(path: str, names: Sequence[str]) -> int:
    """Insert the names that the table does not hold, in one durable transaction; return how many."""
    connection = database.open_for_writing(path)
    try:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(database.SCHEMA)
            rows = ((name,) for name in names)
            return connection.executemany(
                "INSERT INTO clientes (nome) VALUES (?) ON CONFLICT (nome) DO NOTHING", rows
            ).rowcount
    finally:
        connection.close()
