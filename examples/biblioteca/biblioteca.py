"""Keep the loans of a library: ``emprestar FILE`` records those in a CSV file, ``listar`` lists them all."""

import csv
import json
import os
import sqlite3
import sys
from contextlib import closing

DATABASE = "/var/lib/biblioteca/acervo.sqlite3"

TABLES = """
CREATE TABLE IF NOT EXISTS livros (id INTEGER PRIMARY KEY, titulo TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS emprestimos (livro INTEGER PRIMARY KEY REFERENCES livros, leitor TEXT NOT NULL);
"""


def emprestar(path: str) -> None:
    """Record the loans in a CSV file with the columns ``titulo`` and ``leitor``; a book that is lent stays lent."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = [(row["titulo"], row["leitor"]) for row in csv.DictReader(file)]
    with closing(sqlite3.connect(DATABASE, timeout=30)) as connection:
        connection.executescript(TABLES)
        lend = "INSERT OR IGNORE INTO emprestimos SELECT id, ? FROM livros WHERE titulo = ?"
        # All of it is written, or nothing.
        with connection:
            connection.executemany("INSERT OR IGNORE INTO livros (titulo) VALUES (?)", [row[:1] for row in rows])
            new = sum(connection.execute(lend, (reader, title)).rowcount for title, reader in rows)
    print(f"Novos empréstimos: {new}")
    # What the role oneshot hands back as figures; `changed` tells Ansible whether anything has changed.
    print(json.dumps({"changed": new > 0, "new": new}))


def listar() -> None:
    """Print a line for each loan."""
    print(f"{os.environ['NOME']}: livros emprestados")
    query = "SELECT id, titulo, leitor FROM emprestimos JOIN livros ON id = livro ORDER BY id"
    with closing(sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True, timeout=30)) as connection:
        for number, title, reader in connection.execute(query):
            print(f"{number}: {on_one_line(title)} ({on_one_line(reader)})")


def on_one_line(text: str) -> str:
    """Return a text without the characters that would begin another line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


try:
    match sys.argv[1:]:
        case ["emprestar", path]:
            emprestar(path)
        case ["listar"]:
            listar()
        case _:
            raise ValueError("use emprestar ARQUIVO, ou listar")
except (OSError, sqlite3.Error, ValueError, LookupError) as error:
    # One line on standard error and a status other than 0: the role oneshot makes it the error of the play.
    sys.exit(on_one_line(f"ERRO [{type(error).__name__}]: {error}"))
