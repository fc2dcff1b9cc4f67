"""What somebody else created is refused in one line, and stays as it is."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from shared.demo import Demo, error, said, works
from shared.engine import Engine
from shared.system import wait_for
from shared.volumes import DEFAULT_ROWS
from testinfra.host import Host

demo = Demo("foreign")


@pytest.fixture
def theirs(engine: Engine) -> Iterator[str]:
    """A volume with a file in it that the project did not create."""
    name = "molecule_theirs"
    engine.output("volume", "create", name)
    run(engine, name, "sh", "-c", "echo precious > /data/file; chown 10001:10001 /data")
    yield name
    engine.output("volume", "rm", name)


def run(engine: Engine, volume: str, *command: str) -> str:
    return engine.output("run", "--rm", f"--volume={volume}:/data", engine.base(demo.image), *command)


def test_volume_is_refused_before_anything_is_touched(engine: Engine, theirs: str) -> None:
    before = engine.state()
    result = Demo("foreign", {"demo_volume": theirs, "demo_image": "molecule-foreign-new"}).play("site.yml")
    assert f"The volume {theirs} exists and this project did not create it" in error(result)
    assert engine.state() == before
    assert run(engine, theirs, "ls", "/data") == "file"


def test_volume_is_adopted_when_asked_and_still_not_removed(engine: Engine, theirs: str) -> None:
    result = demo.play("site.yml", demo_adopt_volume=True, demo_volume=theirs)
    assert result.returncode == 0, result.stdout
    assert engine.rows(demo.image, theirs) == DEFAULT_ROWS
    result = demo.play("teardown.yml", demo_volume=theirs)
    assert f"The volume {theirs} stays: this project did not create it" in said(result)
    assert not engine.inspect("volume", theirs)["Labels"]
    assert demo.play("site.yml").returncode == 0
    assert run(engine, theirs, "cat", "/data/file") == "precious"


@pytest.fixture(scope="module")
def unrelated(host: Host) -> Iterator[str]:
    """An image that has nothing of this project's."""
    name, container, engine = "molecule-foreign-unrelated:1", "molecule-foreign-unrelated", Engine(host)
    engine.output("create", f"--name={container}", engine.base(demo.image))
    assert host.run(f"docker export {container} | docker import - {name}").rc == 0
    engine.output("rm", container)
    yield name
    engine.output("image", "rm", name)


@pytest.mark.parametrize("role", ["writer", "reader"])
@pytest.mark.parametrize("of_ours", [True, False])
def test_container_of_that_name_is_refused(engine: Engine, unrelated: str, role: str, of_ours: bool) -> None:
    name = getattr(demo, role)
    # One that somebody makes from this project's image has the labels of that.
    identity = engine.output("create", f"--name={name}", demo.image if of_ours else unrelated, "true")
    try:
        result = demo.play("site.yml")
        assert f"The container {name} (oneshot_container) exists and this role did not create it" in error(result)
        assert engine.inspect("container", name)["Id"] == identity
        result = demo.play("teardown.yml", demo_volume="molecule_nothing")
        assert engine.inspect("container", name)["Id"] == identity
        if of_ours:
            assert name in error(result)
        else:
            assert f"The container {name} stays: this project did not create it" in said(result)
    finally:
        engine.output("rm", "--force", name)
    works(demo.play("site.yml"))


def test_writer_that_an_interrupted_run_left_is_replaced_once_it_has_ended(engine: Engine, host: Host) -> None:
    lock = engine.lock(demo.image, demo.volume)
    next(lock)
    play = demo.start("site.yml", "--tags=write")
    wait_for(lambda: engine.inspect("container", demo.writer).get("State", {}).get("Running"))
    os.killpg(play.pid, signal.SIGKILL)
    play.communicate()
    # Stopped, it cannot end by itself when the lock is gone.
    init = engine.inspect("container", demo.writer)["State"]["Pid"]
    writer = int(host.file(f"/proc/{init}/task/{init}/children").content_string)
    os.kill(writer, signal.SIGSTOP)
    next(lock, None)
    try:
        assert f"The container {demo.writer} is running" in error(demo.play("site.yml"))
        assert engine.inspect("container", demo.writer)["State"]["Running"]
    finally:
        os.kill(writer, signal.SIGCONT)
    engine.output("wait", demo.writer)
    works(demo.play("site.yml"))
    assert engine.inspect("container", demo.writer) == {}
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS


def test_image_of_that_name_is_refused(engine: Engine) -> None:
    name = "molecule-foreign-theirs"
    engine.output("run", "--name=molecule-foreign-x", engine.base(demo.image), "true")
    engine.output("commit", "--change=LABEL sqlite-demo.managed-by=me", "molecule-foreign-x", name)
    engine.output("rm", "molecule-foreign-x")
    identity = engine.inspect("image", name)["Id"]
    try:
        result = demo.play("site.yml", demo_image=name)
        assert f"The image {name}:latest exists and this project did not build it" in error(result)
        result = demo.play("teardown.yml", demo_image=name, demo_volume="molecule_nothing")
        assert f"The image {name}:latest stays: this project did not create it" in said(result)
        assert engine.inspect("image", name)["Id"] == identity
    finally:
        engine.output("image", "rm", name)
