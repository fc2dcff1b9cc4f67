"""A container of the demo that runs belongs to a play that is at work; one that has ended was left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shared.demo import Demo, error, recap, works
from shared.engine import Engine
from shared.snapshots import snapshot_rows, snapshots_in
from shared.volumes import DEFAULT_ROWS

demo = Demo("steps")
NAMES = {role: f"{demo.image}-{role}" for role in ("writer", "reader", "backup", "restore")}


def leave(engine: Engine, name: str, *command: str) -> str:
    """Make a container as a play does, which runs a command of its own, and return its identity."""
    labels = ["--label=sqlite-demo.managed-by=ansible", f"--label=oneshot.container={name}"]
    program, *arguments = command
    return engine.output(
        "run", "--detach", f"--name={name}", *labels, f"--entrypoint={program}", demo.image, *arguments
    )


@pytest.fixture(autouse=True)
def _remove(engine: Engine) -> Iterator[None]:
    """Have all of them gone in the end."""
    yield
    engine.docker("rm", "--force", *NAMES.values())


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    works(demo.play("playbooks/backup.yml", demo_backup_dir=str(tmp_path)))
    (snapshot,) = snapshots_in(tmp_path)
    return snapshot


def test_running_writer_is_refused_by_all_that_change_something(engine: Engine, snapshot: Path, tmp_path: Path) -> None:
    identity = leave(engine, demo.writer, "sleep", "600")
    before = engine.inspect("image", demo.image)["RepoTags"]
    for playbook in ("site.yml", "teardown.yml", "playbooks/restore.yml"):
        line = error(demo.play(playbook, demo_backup_file=str(snapshot)))
        assert f"The container {demo.writer} is running: another play is at work, or was interrupted" in line
    assert engine.inspect("container", demo.writer)["Id"] == identity
    assert engine.inspect("container", demo.writer)["State"]["Running"]
    assert engine.inspect("image", demo.image)["RepoTags"] == before
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS
    # A snapshot of a live database is what backup.yml is for.
    works(demo.play("playbooks/backup.yml", demo_backup_dir=str(tmp_path)))
    assert [snapshot_rows(one) for one in snapshots_in(tmp_path)] == [DEFAULT_ROWS] * 2
    assert engine.inspect("container", demo.writer)["State"]["Running"]


@pytest.mark.parametrize("role", ["reader", "backup", "restore"])
def test_running_container_of_each_kind_is_refused(engine: Engine, role: str) -> None:
    identity = leave(engine, NAMES[role], "sleep", "600")
    playbook = "playbooks/backup.yml" if role == "backup" else "site.yml"
    assert f"The container {NAMES[role]} is running" in error(demo.play(playbook))
    assert engine.inspect("container", NAMES[role])["Id"] == identity


def test_containers_that_were_left_are_replaced(engine: Engine, snapshot: Path, tmp_path: Path) -> None:
    for name in NAMES.values():
        leave(engine, name, "true")
        engine.output("wait", name)
    works(demo.play("site.yml"))
    works(demo.play("playbooks/backup.yml", demo_backup_dir=str(tmp_path)))
    works(demo.play("playbooks/restore.yml", demo_backup_file=str(snapshot)))
    assert [engine.inspect("container", name) for name in NAMES.values()] == [{}] * 4


def test_containers_that_were_left_are_torn_down(engine: Engine) -> None:
    for name in NAMES.values():
        leave(engine, name, "true")
        engine.output("wait", name)
    result = demo.play("teardown.yml", demo_keep_volume=True, demo_image=demo.image)
    works(result)
    assert [engine.inspect("container", name) for name in NAMES.values()] == [{}] * 4
    works(demo.play("site.yml"))
    assert recap(demo.play("site.yml"))["changed"] == 0
