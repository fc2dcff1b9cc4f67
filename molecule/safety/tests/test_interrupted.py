"""A play at work is left alone by others; what a killed one left behind, the next of its kind removes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shared.demo import Demo, error, finished, kill, temporaries, works
from shared.engine import Engine
from shared.snapshots import snapshot_rows, snapshots_in
from shared.system import wait_for
from shared.volumes import DEFAULT_ROWS

Arguments = Callable[[str], list[str]]


@pytest.fixture
def lock(engine: Engine, demo: Demo, saved: Path) -> Iterator[str]:
    """A container that holds the database locked until it is removed: what runs meanwhile waits for it."""
    assert saved.exists(), "no snapshot could be taken now"
    yield from engine.lock(demo.image, demo.volume)


@pytest.fixture
def arguments(saved: Path, tmp_path: Path) -> Arguments:
    """Return the arguments of a play, by the name of the container that it runs."""
    table = tmp_path / "clientes.csv"
    table.write_text("nome\nBruno\nDavi\n")

    def find(kind: str) -> list[str]:
        return {
            "restore": ["playbooks/restore.yml", "--extra-vars", f"demo_backup_file={saved}"],
            "writer": ["site.yml", "--tags=write", "--extra-vars", f"demo_clients_file={table}"],
            "backup": ["playbooks/backup.yml"],
            "teardown": ["teardown.yml"],
        }[kind]

    return find


def is_running(engine: Engine, name: str) -> bool:
    """Tell whether there is a container of that name, and runs."""
    return bool(engine.inspect("container", name).get("State", {}).get("Running"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("writer", "writer"),
        ("writer", "restore"),
        ("writer", "teardown"),
        ("backup", "backup"),
        ("restore", "restore"),
        ("restore", "writer"),
    ],
)
def test_play_that_is_at_work_is_left_alone(
    engine: Engine, demo: Demo, lock: str, arguments: Arguments, first: str, second: str
) -> None:
    name = f"{demo.image}-{first}"
    play = demo.start(*arguments(first))
    wait_for(lambda: is_running(engine, name))
    # However long the other play takes, this one does not stop waiting.
    init = engine.inspect("container", name)["State"]["Pid"]
    children = Path(f"/proc/{init}/task/{init}/children")
    wait_for(children.read_text)
    child = int(children.read_text())
    os.kill(child, signal.SIGSTOP)
    identity, state, temporary = engine.inspect("container", name)["Id"], engine.state(), temporaries()
    assert f"{name} is running" in error(demo.play(*arguments(second)))
    assert is_running(engine, name)
    assert engine.inspect("container", name)["Id"] == identity
    assert (engine.state(), temporaries()) == (state, temporary)
    engine.output("rm", "--force", lock)
    os.kill(child, signal.SIGCONT)
    works(finished(play))
    assert engine.inspect("container", name) == {}
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS + ([[4, "Davi"]] if first == "writer" else [])


@pytest.mark.parametrize("kind", ["writer", "backup", "restore"])
def test_next_play_removes_what_a_killed_one_left(
    engine: Engine, demo: Demo, folder: Path, lock: str, arguments: Arguments, kind: str
) -> None:
    name = f"{demo.image}-{kind}"
    before = set(folder.rglob("*"))
    play = demo.start(*arguments(kind))
    wait_for(lambda: is_running(engine, name))
    kill(play)
    engine.output("kill", name)
    engine.output("rm", "--force", lock)
    (left,) = temporaries()
    assert left.name.endswith(f".{name}")
    parts = set(folder.rglob("*")) - before
    assert {path.parent.name for path in parts if path.name == "series"} == (
        {path.name for path in folder.glob("localhost/.part-*")} if kind == "backup" else set()
    )
    others = {left.with_name(f"ansible.mine.{demo.image}-other"), left.with_name(f"mine.{name}")}
    part = folder / "localhost/.part-mine"
    for path in (*others, part):
        path.mkdir()
        (path / "file").touch()
    works(demo.play(*arguments(kind)))
    assert not left.exists()
    assert all((path / "file").exists() for path in (*others, part))
    assert not {path for path in parts if path.exists()}
    assert engine.inspect("container", name) == {}
    assert [snapshot_rows(snapshot) for snapshot in snapshots_in(folder)] == [DEFAULT_ROWS] * (1 + (kind == "backup"))
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS + ([[4, "Davi"]] if kind == "writer" else [])
    for path in others:
        (path / "file").unlink()
        path.rmdir()


def test_part_of_a_play_that_is_alive_stays(engine: Engine, demo: Demo, folder: Path, lock: str) -> None:
    play = demo.start("playbooks/backup.yml")
    wait_for(lambda: is_running(engine, f"{demo.image}-backup"))
    (part,) = folder.glob("localhost/.part-*")
    assert os.listdir(part) == ["series"]
    error(demo.play("playbooks/backup.yml"))
    assert part.exists()
    engine.output("rm", "--force", lock)
    works(finished(play))
    assert len(snapshots_in(folder)) == 2
    assert not part.exists()


# What happens when another play makes its container just after this one has looked whether there is one.
AT_THE_SAME_TIME = """
- hosts: docker_hosts
  gather_facts: false
  tasks:
    - community.docker.docker_host_info: {containers: true, volumes: true, verbose_output: true}
      register: before
    - ansible.builtin.command: {argv: WORDS}
    - ansible.builtin.include_role: {name: writer}
      vars:
        writer_container: NAME
        writer_image: IMAGE
        writer_volume: VOLUME
        writer_database: demo.db
        writer_names: [Davi]
        writer_labels: {}
        writer_engine: "{{ before }}"
"""


@pytest.mark.parametrize("state", ["created", "exited"])
def test_container_that_another_play_has_just_made_is_not_taken_for_its_own(
    engine: Engine, demo: Demo, tmp_path: Path, state: str
) -> None:
    name = f"{demo.image}-twice"
    make = f"docker {'create' if state == 'created' else 'run'} --name={name} --volume={demo.volume}:/data"
    words = [*make.split(), f"{demo.image}:latest", "writer", "--result", "Outra"]
    settings = {"NAME": name, "IMAGE": f"{demo.image}:latest", "VOLUME": demo.volume, "WORDS": json.dumps(words)}
    playbook = AT_THE_SAME_TIME
    for word, value in settings.items():
        playbook = playbook.replace(word, value)
    (tmp_path / "play.yml").write_text(playbook)
    try:
        result = demo.play(str(tmp_path / "play.yml"))
    finally:
        engine.docker("rm", "--force", name)
    assert "another play has just started one of that name" in error(result)
    assert [5, "Davi"] not in engine.rows(demo.image, demo.volume)
