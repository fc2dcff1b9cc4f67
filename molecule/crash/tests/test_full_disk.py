"""A disk that is full takes nothing away, and is told in one line."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from shared.demo import Demo, error, works
from shared.engine import Engine
from shared.killed_writers import Figures, container
from shared.private_engine import PrivateEngine
from shared.system import wait_for
from shared.volumes import DEFAULT_ROWS, FILL, HASH_FILES

SIZES = ("48k", "64k", "128k", "256k", "512k", "1m", "2m", "3m")


@contextmanager
def volume(engine: Engine, demo: Demo, size: str) -> Iterator[str]:
    """A volume that has room for so much, with the three records."""
    name = "molecule_crash_small"
    options = ["--opt=type=tmpfs", "--opt=device=tmpfs", f"--opt=o=size={size},uid=10001"]
    engine.output("volume", "create", "--driver=local", *options, name)
    mount = f"--volume={name}:/data"
    # What is on it lives as long as somebody has it mounted.
    holder = engine.output("run", "--detach", "--init", mount, engine.base(demo.image), "sleep", "inf")
    try:
        fill = ["run", "--rm", "--user=10001", mount, engine.base(demo.image), "python3", "-c"]
        engine.output(*fill, FILL.replace("NAMES", '["Alice", "Bruno", "Carla"]'))
        yield name
    finally:
        engine.output("rm", "--force", holder)
        engine.output("volume", "rm", name)


@pytest.fixture
def table(folder: Path) -> Path:
    """A file of more names than any of the volumes has room for."""
    table = folder / "clientes.csv"
    table.write_text("nome\n" + "".join(f"{number * 7919 % 100_003:0200}\n" for number in range(20_000)))
    return table


def test_volume_that_fills_keeps_what_was_committed(engine: Engine, demo: Demo, table: Path, figures: Figures) -> None:
    for size in SIZES:
        with volume(engine, demo, size) as name:
            before = engine.python(demo.image, name, HASH_FILES)
            mounts = [f"--volume={name}:/data", f"--volume={table}:/clientes.csv:ro"]
            command = [*container(demo, *mounts), "writer"]
            result = subprocess.run([*command, "--csv=/clientes.csv"], check=False, capture_output=True, text=True)
            assert (result.returncode, result.stdout) == (7, ""), size
            assert result.stderr.startswith("ERRO [SEM_ESPACO]: /data/demo.db")
            assert result.stderr.count("\n") == 1
            assert engine.rows(demo.image, name) == DEFAULT_ROWS
            assert engine.python(demo.image, name, HASH_FILES) == before, "not one byte more or less"
            first = [*command, "--database=/data/first.db", "--csv=/clientes.csv"]
            assert subprocess.run(first, check=False, capture_output=True).returncode == 7
            assert subprocess.run([*command, "Davi"], check=False, capture_output=True).returncode == 0
            assert engine.rows(demo.image, name) == [*DEFAULT_ROWS, [4, "Davi"]]
    figures.append(
        (
            "volume fills during a bulk write",
            f"{len(SIZES)} volumes of {SIZES[0]} to {SIZES[-1]}",
            "`SEM_ESPACO` each time, the committed rows intact, the volume byte for byte as before",
        )
    )


def test_play_says_so_in_one_line(engine: Engine, demo: Demo, table: Path) -> None:
    with volume(engine, demo, "256k") as name:
        result = demo.play("site.yml", demo_volume=name, demo_adopt_volume=True, demo_clients_file=str(table))
        assert "ERRO [SEM_ESPACO]: /data/demo.db" in error(result)
        assert engine.rows(demo.image, name) == DEFAULT_ROWS


def test_engine_without_space_for_the_image(engine: Engine, demo: Demo, folder: Path) -> None:
    archive = folder / "base.tar"
    base = engine.base(demo.image)
    engine.output("save", f"--output={archive}", base)
    small = PrivateEngine(size="200m")
    try:
        small.tell("start")
        wait_for((small.folder / "docker.sock").exists)
        other = Demo("crash", {"demo_docker_host": small.address, "demo_base_image": base})
        docker = ["docker", f"--host={small.address}"]
        subprocess.run([*docker, "load", f"--input={archive}"], check=True, capture_output=True)
        fill = [*docker, "run", "--rm", "--volume=molecule_fill:/data", base, "sh", "-c", "cat /dev/zero > /data/fill"]
        full = subprocess.run(fill, check=False, capture_output=True, text=True)
        assert "No space left on device" in full.stderr
        before = listing(docker)
        line = error(other.play("site.yml"))
        assert "no space left on device" in line
        assert listing(docker) == before
        subprocess.run([*docker, "volume", "rm", "molecule_fill"], check=True, capture_output=True)
        works(other.play("site.yml"))
    finally:
        small.close()


def listing(docker: list[str]) -> list[str]:
    """Return the images, containers and volumes of an engine."""
    commands = (["images", "--quiet", "--no-trunc"], ["ps", "--all", "--quiet"], ["volume", "ls", "--quiet"])
    return [subprocess.run([*docker, *each], check=True, capture_output=True, text=True).stdout for each in commands]
