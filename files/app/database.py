"""What all programs in the image share: opening and examining the database, and the errors that they end in."""

import os
import sqlite3
import sys

DEFAULT_PATH = "/data/demo.db"
BUSY_TIMEOUT = 5.0  # seconds to wait for a lock that another process holds

SCHEMA = "CREATE TABLE IF NOT EXISTS clientes (id INTEGER PRIMARY KEY, nome TEXT NOT NULL UNIQUE)"

STATUS = {
    "USO": 2,
    "SEM_BANCO": 3,
    "CORROMPIDO": 4,
    "RECUPERAR": 5,
    "OCUPADO": 6,
    "SEM_ESPACO": 7,
}


class Failure(Exception):
    """An end that the user can act upon.

    Attributes:
        code: a key of STATUS, which gives the exit status.
        message: one line, in Portuguese: what happened and what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def end(self) -> None:
        """End the program with the one line and the exit status of this failure."""
        sys.stdout.flush()
        print(f"ERRO [{self.code}]: {self.message}", file=sys.stderr)
        sys.exit(STATUS[self.code])


def open_for_writing(path: str) -> sqlite3.Connection:
    """Open the database, made where there is none, in autocommit mode and safe against a power cut.

    A transaction that a killed writer left behind is rolled back by SQLite on this occasion.

    Raises:
        Failure: SEM_BANCO if it is another program's database, CORROMPIDO if it is not intact.
        sqlite3.Error: anything else that SQLite reports; see ``explain``.
    """
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
    # A read-only root leaves SQLite no place for temporary files.
    connection.execute("PRAGMA temp_store = MEMORY")
    examine(connection, path)
    # A reader on a read-only mount cannot open a database in WAL mode.
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def open_for_reading(path: str) -> sqlite3.Connection:
    """Open an existing database; neither it nor anything beside it can be changed through this.

    Raises:
        sqlite3.Error: what SQLite reports; see ``explain``.
    """
    escaped = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return sqlite3.connect(f"file:{escaped}?mode=ro", uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)


def examine(connection: sqlite3.Connection, path: str) -> None:
    """See that a database is intact, and that of this demo if it holds anything.

    Raises:
        Failure: SEM_BANCO if it is another program's, CORROMPIDO if it is not intact.
        sqlite3.Error: anything else that SQLite reports; see ``explain``.
    """
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise Failure("CORROMPIDO", f"{path} não está íntegro; nada foi alterado. Restaure uma cópia.")
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if tables and "clientes" not in tables:
        raise Failure("SEM_BANCO", f"{path} é de outro programa: não tem a tabela clientes; nada foi alterado.")


def count(connection: sqlite3.Connection) -> int:
    """Return how many records a database holds.

    Raises:
        sqlite3.Error: what SQLite reports; see ``explain``.
    """
    (rows,) = connection.execute("SELECT count(*) FROM clientes").fetchone()
    return int(rows)


def evidence(connection: sqlite3.Connection, path: str) -> str:
    """Return a JSON object of the file's SHA-256 and the versions of Python and SQLite; empty if the file is locked.

    It must be the last that a connection does: POSIX takes a process's locks on a file when the process closes it.
    """
    # Imported late: it takes half as long as all else at the start, and few ask for it.
    import hashlib

    try:
        if not connection.in_transaction:
            connection.execute("BEGIN")
        # From here on nobody writes.
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (sqlite3.Error, OSError):
        return "{}"
    return f'{{"sha256": "{digest}", "python": "{sys.version.split()[0]}", "sqlite": "{sqlite3.sqlite_version}"}}'


def explain(error: sqlite3.Error, path: str, *, writing: bool) -> Failure:
    """Return the Failure that users know for what SQLite reports.

    The result codes are those of https://sqlite.org/rescode.html.
    """
    extended = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)  # absent: text is not UTF-8
    primary = extended & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Failure("OCUPADO", f"{path} está em uso por outro processo; tente de novo.")
    if os.path.isdir(path):
        return Failure("CORROMPIDO", f"{path} é um diretório, não um banco de dados; nada foi alterado.")
    if writing and primary in (
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    ):
        remedy = f"Libere espaço, ou deixe o usuário {os.getuid()} gravar na pasta."
        return Failure("SEM_ESPACO", f"{path} não pode ser gravado ({error}); nada deste lote foi gravado. {remedy}")
    if primary == sqlite3.SQLITE_READONLY or (primary == sqlite3.SQLITE_CANTOPEN and is_wal(path)):
        return Failure("RECUPERAR", f"{path} tem uma gravação interrompida; execute o writer para recuperar.")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return Failure("SEM_BANCO", f"{path} não existe ou não pode ser lido; execute o writer primeiro.")
    if primary == sqlite3.SQLITE_CONSTRAINT or (
        primary == sqlite3.SQLITE_ERROR and "unsupported file format" not in str(error)
    ):
        return Failure("SEM_BANCO", f"{path} não tem a tabela clientes desta demonstração ({error}).")
    return Failure("CORROMPIDO", f"{path} não está íntegro ({error}); nada foi alterado. Restaure uma cópia.")


def is_wal(path: str) -> bool:
    """Tell whether the file says that it is in WAL mode: byte 18 of https://sqlite.org/fileformat.html."""
    try:
        with open(path, "rb") as file:
            return file.read(19)[18:] == b"\x02"
    except OSError:
        return False
