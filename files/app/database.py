"""What all programs in the image share: the database, the errors that they end in, and how stored text is printed."""

import os
import sqlite3
import sys
from unicodedata import category

DEFAULT_PATH = "/data/demo.db"
BUSY_TIMEOUT = 5.0  # seconds to wait for a lock that another process holds

SCHEMA = "CREATE TABLE IF NOT EXISTS clientes (id INTEGER PRIMARY KEY, nome TEXT NOT NULL UNIQUE)"

STATUS = {"USO": 2, "SEM_BANCO": 3, "CORROMPIDO": 4, "RECUPERAR": 5, "OCUPADO": 6, "SEM_ESPACO": 7, "SEM_PERMISSAO": 8}

# Control characters, line feed among them; bytes that are not UTF-8; the line breaks of Unicode.
UNPRINTED = {"Cc", "Cs", "Zl", "Zp"}


class Failure(Exception):
    """An end that the user can act upon: ``code``, a key of STATUS, and in Portuguese what happened and what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def one_line(text: str) -> str:
    r"""Return the text with each character that would end or change its line escaped as in JSON: ``\n``, ``\u001b``."""
    if text.isprintable():
        return text
    short = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
    escaped = (short.get(each, f"\\u{ord(each):04x}") if category(each) in UNPRINTED else each for each in text)
    return "".join(escaped)


def open_for_writing(path: str) -> sqlite3.Connection:
    """Open the database, made where there is none, in autocommit mode and safe against a power cut.

    A transaction that a killed writer left behind is rolled back by SQLite on this occasion.

    Raises:
        Failure: SEM_BANCO if it is another program's database, CORROMPIDO if it is not intact.
        sqlite3.Error: anything else that SQLite reports; see ``explain``.
    """
    connection = connect(path, "rwc")
    examine(connection, path)
    # A reader on a read-only mount cannot open a database in WAL mode.
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def connect(path: str, mode: str) -> sqlite3.Connection:
    """Open the database in one of the modes of https://sqlite.org/uri.html, in autocommit mode.

    Text that is not UTF-8 is read with a lone surrogate for each of its wrong bytes.

    Raises:
        Failure: CORROMPIDO if it, or what SQLite keeps beside it, is not a file.
        sqlite3.Error: what SQLite reports; see ``explain``.
    """
    for each in (path, f"{path}-journal", f"{path}-wal", f"{path}-shm"):
        # SQLite would wait for ever for somebody to write to a FIFO.
        if os.path.exists(each) and not os.path.isfile(each):
            what = "é um diretório" if os.path.isdir(each) else "não é um arquivo comum"
            raise Failure("CORROMPIDO", f"{each} {what}; nada foi alterado.")
    escaped = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection = sqlite3.connect(f"file:{escaped}?mode={mode}", uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)
    connection.text_factory = lambda stored: stored.decode(errors="surrogateescape")
    # A read-only root leaves SQLite no place for temporary files.
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def examine(connection: sqlite3.Connection, path: str) -> None:
    """See that a database is intact, and that of this demo if it holds anything.

    Raises:
        Failure: SEM_BANCO if it is another program's, CORROMPIDO if it is not intact.
        sqlite3.Error: anything else that SQLite reports; see ``explain``.
    """
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise Failure("CORROMPIDO", f"{path} não está íntegro; nada foi alterado. Restaure um backup.")
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if tables and "clientes" not in tables:
        raise Failure("SEM_BANCO", f"{path} é de outro programa: não tem a tabela clientes; nada foi alterado.")


def result(connection: sqlite3.Connection, path: str, *, changed: bool, **counts: int) -> str:
    """Return the JSON object that ``--result`` asks for: the figures, and what they were found in and with.

    SQLite writes it: to import ``json`` would double the start. ``sha256`` is that of the file in the state that the
    connection sees, empty if that cannot be had.

    It must be the last that a connection does: POSIX takes a process's locks on a file when the process closes it.
    """
    # Imported late: it takes half as long as all else at the start, and few ask for it.
    import hashlib

    digest = ""
    try:
        if not connection.in_transaction:
            connection.execute("BEGIN")
        # From here on nobody writes.
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (sqlite3.Error, OSError):
        pass
    versions = {"python": sys.version.split()[0], "sqlite": sqlite3.sqlite_version}
    pairs = [word for pair in {**counts, "sha256": digest, **versions}.items() for word in pair]
    query = f"SELECT json_object('changed', json(?){', ?' * len(pairs)})"
    (line,) = connection.execute(query, [str(changed).lower(), *pairs]).fetchone()
    return str(line)


def explain(error: sqlite3.Error, path: str, *, writing: bool) -> Failure:
    """Return the Failure that users know for a result code of https://sqlite.org/rescode.html."""
    extended = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    primary = extended & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or extended == sqlite3.SQLITE_READONLY_DBMOVED:
        return Failure("OCUPADO", f"{path} está em uso por outro processo; tente de novo.")
    if writing:
        refused = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY)
        if primary in refused and (obstacle := find_obstacle(path)):
            return obstacle
        if primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL):
            message = f"{path} não pôde ser gravado ({error}); nada deste lote foi gravado. Libere espaço no disco."
            return Failure("SEM_ESPACO", message)
    elif primary == sqlite3.SQLITE_READONLY or (primary == sqlite3.SQLITE_CANTOPEN and is_wal(path)):
        return Failure("RECUPERAR", f"{path} tem uma gravação interrompida; execute o writer para recuperar.")
    elif primary == sqlite3.SQLITE_CANTOPEN:
        return Failure("SEM_BANCO", f"{path} não existe ou não pode ser lido; execute o writer primeiro.")
    another_format = "unsupported file format" in str(error)
    if primary == sqlite3.SQLITE_CONSTRAINT or (primary == sqlite3.SQLITE_ERROR and not another_format):
        return Failure("SEM_BANCO", f"{path} não tem a tabela clientes desta demonstração ({error}).")
    return Failure("CORROMPIDO", f"{path} não está íntegro ({error}); nada foi alterado. Restaure um backup.")


def find_obstacle(path: str) -> Failure | None:
    """Return why this user cannot write the file at all: its folder is not there, or not the user's; None if it can."""
    file = os.path.realpath(path)
    folder = os.path.dirname(file)
    place = file if os.path.exists(file) and not os.access(file, os.W_OK) else folder
    try:
        owner = os.stat(place).st_uid
        if os.statvfs(place).f_flag & os.ST_RDONLY:
            reason = f"{place} está montado somente para leitura"
        elif os.access(place, os.W_OK):
            return None
        else:
            reason = f"{place} pertence ao usuário {owner}, e o programa roda como usuário {os.getuid()}"
    except PermissionError:
        reason = f"o usuário {os.getuid()} não tem acesso à pasta {folder}"
    except OSError:
        return Failure("USO", f"a pasta {folder} não existe; crie-a, ou informe outro arquivo em --database.")
    return Failure("SEM_PERMISSAO", f"{path} não pode ser gravado: {reason}; nada deste lote foi gravado.")


def is_wal(path: str) -> bool:
    """Tell whether the file says that it is in WAL mode: byte 18 of https://sqlite.org/fileformat.html."""
    try:
        with open(path, "rb") as file:
            return file.read(19)[18:] == b"\x02"
    except OSError:
        return False
