"""Writers at once lose nothing; who waits too long for a lock is told so."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
from shared.demo import Demo
from shared.engine import Engine
from shared.killed_writers import COUNT_ROWS, Figures, container, run
from shared.volumes import fill

WRITES = 25
# The writer itself, one after the other, each with two records of its own.
REPEAT = f'for i in $(seq {WRITES}); do python /app/__main__.py writer "$0/$i a" "$0/$i b" || exit; done'


@pytest.mark.parametrize("writers", [2, 4, 8])
def test_every_record_of_every_writer_is_there(engine: Engine, demo: Demo, figures: Figures, writers: int) -> None:
    fill(engine, demo, '["Alice", "Bruno", "Carla"]')
    command = [*container(demo, f"--volume={demo.volume}:/data", entrypoint="sh"), "-c", REPEAT]
    processes = [
        subprocess.Popen([*command, f"{number}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(writers)
    ]
    for process in processes:
        output, errors = process.communicate(timeout=600)
        assert (process.returncode, errors) == (0, "")
        assert output.splitlines()[1::3] == ["Clientes inseridos: 2"] * WRITES
    expected = {"": 3, **{f"{number}": 2 * WRITES for number in range(writers)}}
    assert json.loads(engine.python(demo.image, demo.volume, COUNT_ROWS)) == [True, expected]
    figures.append(
        (
            f"{writers} writers at once, each with its own records",
            f"{writers * WRITES} commits, {2 * writers * WRITES} rows",
            f"exactly {2 * writers * WRITES} rows, no error",
        )
    )


@pytest.fixture
def lock(engine: Engine, demo: Demo) -> Iterator[str]:
    fill(engine, demo, '["Alice", "Bruno", "Carla"]')
    yield from engine.lock(demo.image, demo.volume)


@pytest.mark.usefixtures("lock")
@pytest.mark.parametrize("command", [["writer", "Davi"], ["reader"]])
def test_lock_beyond_the_time_out(demo: Demo, command: list[str]) -> None:
    result = run(demo, *command)
    assert (result.returncode, result.stdout) == (6, "")
    assert result.stderr.startswith("ERRO [OCUPADO]: /data/demo.db")
    assert result.stderr.count("\n") == 1
