"""Whatever the two programs are given, they do it or refuse it in one line; Hypothesis looks for what breaks them."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import database
from conftest import APP
from hypothesis import example, given, settings
from hypothesis import strategies as st
from programs import rows

settings.register_profile("programs", deadline=None, max_examples=100, database=None, print_blob=True)
settings.load_profile("programs")

# What an argument can be: any bytes but NUL. What looks like an option or is nearly a number comes up often.
BYTES = st.binary(max_size=200).filter(lambda value: b"\0" not in value)
TEXT = st.text(max_size=200).map(lambda value: value.replace("\0", "").encode())
WORD = st.sampled_from(
    b"writer reader -- --json --result --csv= --csv=/dev/null --limit= --limit=-1 --limit=0 --limit=99999999999 "
    b"--database= --database=/ -h --help Alice".split()
)
NAME = st.text(min_size=1, max_size=200).map(lambda value: value.replace("\0", " "))


def run(folder: str, *arguments: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run the image's entry point, and see that it ends as users know it: well, or in one line with its status."""
    start: list[str | bytes] = [sys.executable, "-I", "-S", "-B", str(APP)]
    result = subprocess.run([*start, *arguments], check=False, capture_output=True, cwd=folder, timeout=60)
    if result.returncode == 0:
        assert result.stderr == b""
    else:
        (line,) = result.stderr.decode().splitlines()
        (code,) = (code for code, status in database.STATUS.items() if status == result.returncode)
        assert line.startswith(f"ERRO [{code}]: ")
        assert line.isprintable()
    return result


@given(st.lists(WORD | TEXT | BYTES, max_size=6))
@example([b"--limit=\xc2\xb2"])
def test_any_arguments(arguments: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"--database={folder}/demo.db".encode()
        for command in (b"writer", b"reader"):
            run(folder, command, path, *arguments)
        # A writer without a path would write to /data of this machine.
        if arguments[:1] != [b"writer"]:
            run(folder, *arguments)
        assert set(os.listdir(folder)) <= {"demo.db"}


@given(st.lists(NAME | st.sampled_from(["--json", "\u202eabc", "'); DROP TABLE clientes; --"]), min_size=1, max_size=6))
@example(["a" * 100_000])
@example([" \u2066\u202e\u200f "])
@example(["a\u2066\u202e\u200f "])
@example(["\u3164"])
def test_names_are_stored_and_printed_as_they_are_or_refused(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder) / "demo.db"
        path = f"--database={demo}".encode()
        result = run(folder, b"writer", path, b"--", *(name.encode() for name in names))
        assert_stored_or_refused(result, demo, names)


@given(st.lists(NAME, min_size=1, max_size=6), st.sampled_from(",;"), st.sampled_from(["\n", "\r\n"]), st.booleans())
@example(["a" * 100_000], ",", "\n", False)
def test_names_of_a_file_are_stored_as_they_are_or_refused(
    names: list[str], delimiter: str, end: str, mark: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        demo, table = Path(folder) / "demo.db", Path(folder) / "clientes.csv"
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter, lineterminator=end).writerows([["nome", "id"], *([n, 1] for n in names)])
        table.write_bytes(text.getvalue().encode("utf-8-sig" if mark else "utf-8"))
        result = run(folder, b"writer", f"--database={demo}".encode(), f"--csv={table}".encode())
        assert_stored_or_refused(result, demo, names)


@given(st.binary(max_size=2000) | TEXT)
def test_any_file_in_place_of_a_csv(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        demo, table = Path(folder) / "demo.db", Path(folder) / "clientes.csv"
        table.write_bytes(b"nome\n" + content)
        result = run(folder, b"writer", f"--database={demo}".encode(), f"--csv={table}".encode())
        assert demo.exists() == (result.returncode == 0)


def assert_stored_or_refused(result: subprocess.CompletedProcess[bytes], demo: Path, names: Sequence[str]) -> None:
    """Assert that each name is a row and a line of the reader, once; or that nothing was written."""
    if result.returncode != 0:
        assert (result.returncode, demo.exists()) == (2, False)
        assert not all(map(must_be_taken, names))
        return
    expected = list(enumerate(dict.fromkeys(names), start=1))
    assert rows(demo) == expected
    printed = run(str(demo.parent), b"reader", f"--database={demo}".encode()).stdout.decode()
    assert printed.split("\n")[2:-1] == [f"{number}: {name}" for number, name in expected]


def must_be_taken(name: str) -> bool:
    """Tell whether nobody can object to a name: each of its characters can be printed, and one is ASCII or a letter."""
    seen = any(each > " " and (each.isascii() or each.isalpha()) for each in name)
    return seen and name.isprintable() and not re.search("[\u115f\u1160\u3164\uffa0]", name)
