"""Compose beside Ansible: the same image, the same volume."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from shared.demo import REPOSITORY, Demo, environment, works
from shared.engine import Engine
from shared.packages import unpack
from shared.volumes import DEFAULT_ROWS, file_hashes


@pytest.fixture
def compose(demo: Demo, tmp_path: Path) -> Callable[..., str]:
    """Run a real Compose, Debian's package, unpacked with all that it needs, but not installed."""
    unpack(tmp_path / "root", "docker-compose")

    def run(*arguments: str) -> str:
        program = ["/usr/bin/python3", str(tmp_path / "root/usr/bin/docker-compose"), "--file=files/compose.yaml"]
        variables = {
            "PYTHONPATH": str(tmp_path / "root/usr/lib/python3/dist-packages"),
            "DEMO_IMAGE": demo.image,
            "DEMO_VOLUME": demo.volume,
        }
        result = subprocess.run(
            [*program, *arguments],
            cwd=REPOSITORY,
            env=environment() | variables,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return result.stdout

    return run


def test_each_reads_what_the_other_wrote(engine: Engine, demo: Demo, compose: Callable[..., str]) -> None:
    before = engine.state()
    lines = ["Lendo banco de dados em: /data/demo.db", "Clientes encontrados:", "1: Alice", "2: Bruno", "3: Carla"]
    assert compose("run", "--rm", "-T", "reader").splitlines() == lines
    assert "Clientes inseridos: 1" in compose("run", "--rm", "-T", "writer", "Davi")
    assert "        3: Carla\n        4: Davi\n" in works(demo.play("site.yml", "--tags=read"))
    files = file_hashes(engine, demo)
    assert "Clientes inseridos: 0" in compose("run", "--rm", "-T", "writer"), "the names of the original guide"
    compose("down", "--volumes")
    assert engine.rows(demo.image, demo.volume) == [*DEFAULT_ROWS, [4, "Davi"]]
    assert file_hashes(engine, demo) == files
    assert engine.state() == before
