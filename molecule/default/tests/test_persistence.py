"""The claim: the data outlives the containers, and the image too."""

from __future__ import annotations

import pytest
from shared.demo import LABELS, Demo
from shared.engine import Engine
from shared.volumes import DEFAULT_ROWS

HEADER = "print(open('/data/demo.db', 'rb').read(16))"


def test_container_is_absent_in_every_state(engine: Engine, rebuilt: Demo) -> None:
    for container in (rebuilt.writer, rebuilt.reader):
        assert engine.output("ps", "--all", "--quiet", f"--filter=name=^{container}$") == ""


def test_volume_is_there_with_its_label(engine: Engine, rebuilt: Demo) -> None:
    assert engine.inspect("volume", rebuilt.volume)["Labels"] == LABELS


def test_database_is_an_sqlite_file_in_the_volume(engine: Engine, rebuilt: Demo) -> None:
    assert engine.python(rebuilt.image, rebuilt.volume, HEADER) == r"b'SQLite format 3\x00'"


def test_independent_container_reads_the_rows(engine: Engine, rebuilt: Demo) -> None:
    assert engine.rows(rebuilt.image, rebuilt.volume) == DEFAULT_ROWS


def test_reader_prints_the_rows_of_the_containers_before_it(rebuilt: Demo) -> None:
    result = rebuilt.play("site.yml", "--tags=read")
    lines = ["Lendo banco de dados em: /data/demo.db", "Clientes encontrados:", "1: Alice", "2: Bruno", "3: Carla"]
    assert "\n".join(f"        {line}" for line in lines) in result.stdout


def test_rows_are_gone_with_the_volume(engine: Engine, rebuilt: Demo) -> None:
    """The negative control: what holds the rows is the volume and nothing else."""
    other = Demo("other", {"demo_base_image": engine.base(rebuilt.image)})
    try:
        assert other.play("site.yml").returncode == 0
        assert engine.rows(other.image, other.volume) == DEFAULT_ROWS
        engine.output("volume", "rm", other.volume)
        assert other.play("site.yml", "--tags=write", demo_clients=["Davi"]).returncode == 0
        assert engine.rows(other.image, other.volume) == [[1, "Davi"]]
    finally:
        assert other.play("teardown.yml").returncode == 0
    with pytest.raises(AssertionError, match="No such image"):
        engine.output("image", "inspect", other.image)
    assert engine.inspect("volume", other.volume) == {}
    assert engine.rows(rebuilt.image, rebuilt.volume) == DEFAULT_ROWS, "the demo beside it kept its own"
