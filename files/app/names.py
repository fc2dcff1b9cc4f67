"""What a name is, and how names are read from a CSV file, line by line."""

import io
import itertools
import os
import unicodedata
from collections.abc import Iterable, Iterator

import database

COLUMN = "nome"
LINE_LIMIT = 1_000_000  # bytes; a file without line ends is not taken into memory
MARK = "\ufeff"  # what Excel puts at the beginning of a file
BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters and a symbol, says Unicode, that show nothing


def check(names: Iterable[tuple[int, str]], unit: str) -> Iterator[str]:
    """Yield the names one by one, without their numbers, which count what ``unit`` says.

    Raises:
        database.Failure: USO for the first that cannot be a record: nothing to see, or not one line of text.
    """
    for number, name in names:
        # What begins with a letter or digit and can be printed needs no second look, which is slow.
        if not (name[:1].isalnum() and name.isprintable()) or name[0] in BLANK:
            # Letters, numbers, punctuation marks and symbols can be seen.
            if not any(unicodedata.category(each)[0] in "LNPS" and each not in BLANK for each in name):
                message = f"{unit} {number}: nome vazio; informe um com ao menos um caractere visível."
                raise database.Failure("USO", message)
            if database.one_line(name) != name:
                raise database.Failure("USO", f"{unit} {number}: não é uma linha de texto UTF-8: {name[:40]!a}")
        yield name


def read_csv(path: str) -> Iterator[tuple[int, str]]:
    """Yield the column ``nome`` of a UTF-8 CSV file with a header, each with the number of its line.

    Commas or semicolons separate, as in the header; quotes are those of RFC 4180; empty lines are passed over.

    Raises:
        database.Failure: USO with the number of the first line that is malformed, or if there is no such column.
    """
    # Imported late: it takes longer than all else at the start.
    import csv

    # The writer reads it twice.
    if os.path.exists(path) and not os.path.isfile(path):
        raise database.Failure("USO", f"{path} não é um arquivo comum.")
    start = 1
    try:
        with open(path, "rb") as file:
            lines = decode(file)
            first = next(lines, "")
            csv.field_size_limit(LINE_LIMIT)
            # The one by which there is such a column: in the name of another one there can be the other.
            found = (each for each in ",;" if COLUMN in next(csv.reader([first], delimiter=each), []))
            rows = csv.reader(itertools.chain([first], lines), delimiter=next(found, ","), strict=True)
            header = next(rows, [])
            if header.count(COLUMN) != 1:
                raise database.Failure("USO", f"linha 1: o cabeçalho não tem exatamente uma coluna {COLUMN}.")
            index = header.index(COLUMN)
            # A record in quotes may go over several lines: its number is that of the first.
            start = rows.line_num + 1
            for row in rows:
                if row and len(row) != len(header):
                    raise database.Failure("USO", f"linha {start}: colunas: {len(row)}; no cabeçalho: {len(header)}.")
                if row:
                    yield start, row[index]
                start = rows.line_num + 1
    except OSError as error:
        raise database.Failure("USO", f"{path} não pode ser lido ({error.strerror}).") from error
    except csv.Error as error:
        raise database.Failure("USO", f"linha {start}: CSV malformado ({error}).") from error


def decode(file: io.BufferedReader) -> Iterator[str]:
    """Yield the lines of a UTF-8 file, with or without the mark that Excel puts at its beginning.

    Raises:
        database.Failure: USO for the first line that is not UTF-8, or too long.
    """
    for number, line in enumerate(iter(lambda: file.readline(LINE_LIMIT), b""), start=1):
        if len(line) == LINE_LIMIT:
            raise database.Failure("USO", f"linha {number}: tem mais de {LINE_LIMIT} bytes.")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise database.Failure("USO", f"linha {number}: não é UTF-8.") from error
        if MARK in text:
            raise database.Failure(
                "USO", f"linha {number}: aqui começa outro arquivo (marca U+FEFF); grave um de cada vez."
            )
        yield text
