"""Programs that are wrong make these tests fail: each build here has one defect, and is put to the same judgement."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from shared.demo import REPOSITORY, Demo, error, works
from shared.engine import Engine
from shared.killed_writers import kill_writers


@contextmanager
def build(engine: Engine, demo: Demo, folder: Path, file: str, old: str, new: str) -> Iterator[tuple[Demo, Path]]:
    """The demo with another text in one file of its programs, and the copy of the repository that it was built from."""
    copy = folder / "copy"
    ignore = shutil.ignore_patterns(".*", "build", "backups", "molecule", "tests")
    shutil.copytree(REPOSITORY, copy, ignore=ignore)
    program = copy / "files/app" / file
    assert old in program.read_text()
    program.write_text(program.read_text().replace(old, new))
    wrong = Demo("wrong", {"demo_base_image": engine.base(demo.image), "demo_base_image_source": "local"})
    works(wrong.play("site.yml", "--tags=build,write", at=copy))
    try:
        yield wrong, copy
    finally:
        works(wrong.play("teardown.yml", at=copy))


def put_to_the_test(engine: Engine, demo: Demo) -> None:
    """Kill writers until something is found, 50 at most."""
    for seed in range(10):
        kill_writers(engine, demo, 5, seed).assert_sound()


def test_writer_that_does_not_use_the_volume_is_found(engine: Engine, demo: Demo, folder: Path) -> None:
    arguments = ("database.py", 'connect(path, "rwc")', 'connect("/dev/shm/demo.db", "rwc")')
    with build(engine, demo, folder, *arguments) as (wrong, copy):
        assert "ERRO [SEM_BANCO]" in error(wrong.play("site.yml", at=copy))
        with pytest.raises(AssertionError):
            engine.rows(wrong.image, wrong.volume)


def test_writer_that_acknowledges_before_it_commits_is_found(engine: Engine, demo: Demo, folder: Path) -> None:
    old = "inserted = insert(connection, names.check(read(), unit))"
    early = """print("\\n\\n")
            print(f'{{"changed": true, "inseridos": {total}, "existentes": 0, "sha256": ""}}')
            insert(connection, names.check(read(), unit))
            return"""
    found = pytest.raises(AssertionError, match=r"Tally\(.* lost=[1-9]")
    with build(engine, demo, folder, "writer.py", old, early) as (wrong, _), found:
        put_to_the_test(engine, wrong)


def test_reader_that_skips_the_recovery_is_found(engine: Engine, demo: Demo, folder: Path) -> None:
    found = pytest.raises(AssertionError, match=r"Tally\(.* wrong=[1-9]")
    arguments = ("database.py", 'connect(path, "ro")', 'connect(path, "ro&immutable=1")')
    with build(engine, demo, folder, *arguments) as (wrong, _), found:
        put_to_the_test(engine, wrong)
