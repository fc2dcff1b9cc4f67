"""Where the host is not as it should be, a play ends in one clear line; once it is, the next play works."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from shared.demo import REPOSITORY, Demo, environment, error, works
from shared.engine import Engine
from shared.private_engine import PrivateEngine
from shared.system import wait_for
from shared.volumes import DEFAULT_ROWS, fill


@pytest.fixture
def three(engine: Engine, demo: Demo) -> Demo:
    """The demo with its three records."""
    fill(engine, demo, '["Alice", "Bruno", "Carla"]')
    return demo


@pytest.fixture
def broken(private: PrivateEngine, engine: Engine, three: Demo) -> Iterator[PrivateEngine]:
    """The engine, to be broken; it is started again afterwards, with all its data."""
    before = engine.state()
    yield private
    private.tell("kill all")
    private.tell("start")
    wait_for(lambda: engine.docker("version").rc == 0)
    assert engine.state() == before
    works(three.play("site.yml"))
    assert engine.rows(three.image, three.volume) == DEFAULT_ROWS


@pytest.mark.parametrize("playbook", ["site.yml", "teardown.yml", "playbooks/backup.yml"])
def test_engine_that_is_down(broken: PrivateEngine, three: Demo, playbook: str) -> None:
    broken.tell("kill all")
    assert f"No Docker Engine answers at demo_docker_host ({broken.address})" in error(three.play(playbook))


def test_socket_that_does_not_listen_to_this_user(broken: PrivateEngine, three: Demo) -> None:
    broken.tell("deny")
    # Permissions hold for who has no capabilities, root or not.
    powerless = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
    command = [*powerless, *three.command("site.yml")]
    result = subprocess.run(
        command, cwd=REPOSITORY, env=environment(), check=False, capture_output=True, text=True, timeout=600
    )
    assert "Permission denied" in error(result)


def test_image_that_is_deleted_between_build_and_run(engine: Engine, three: Demo) -> None:
    tags = engine.inspect("image", three.image)["RepoTags"]
    engine.output("image", "rm", "--force", *tags)
    play = three.start("site.yml")
    wait_for(lambda: len(engine.inspect("image", three.image).get("RepoTags", [])) == 2)
    engine.output("image", "rm", "--force", *tags)
    output, _ = play.communicate(timeout=600)
    (line,) = [line for line in output.splitlines() if line.startswith("[ERROR]")]
    assert play.returncode != 0
    assert "Cannot find image with name" in line
    assert any(tag in line for tag in tags)
    assert engine.inspect("container", three.writer) == {}
    works(three.play("site.yml"))
    assert engine.rows(three.image, three.volume) == DEFAULT_ROWS


def test_volume_that_is_deleted_between_write_and_read(engine: Engine, three: Demo) -> None:
    play = three.start("site.yml")
    wait_for(lambda: engine.inspect("container", three.writer))
    wait_for(lambda: engine.docker("volume", "rm", three.volume).rc == 0)
    output, _ = play.communicate(timeout=600)
    (line,) = [line for line in output.splitlines() if line.startswith("[ERROR]")]
    assert play.returncode != 0
    assert f"There is no volume {three.volume} to read" in line
    assert engine.inspect("volume", three.volume) == {}, "no empty one was made in its place"
    works(three.play("site.yml"))
    assert engine.rows(three.image, three.volume) == DEFAULT_ROWS
