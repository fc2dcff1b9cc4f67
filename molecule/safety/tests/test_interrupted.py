"""A play at work is left alone by others; what a killed one left behind, the next of its kind removes."""

from __future__ import annotations

import json
import os
import re
import shutil
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


def stop(engine: Engine, name: str) -> int:
    """Stop the program in a container as soon as it runs, so that it does not give up waiting; return its number."""
    wait_for(lambda: is_running(engine, name))
    init = engine.inspect("container", name)["State"]["Pid"]
    children = Path(f"/proc/{init}/task/{init}/children")
    wait_for(children.read_text)
    child = int(children.read_text())
    os.kill(child, signal.SIGSTOP)
    return child


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
    child = stop(engine, name)
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
    mark = left.suffix
    assert re.fullmatch(rf"[.][0-9a-f]{{12}}-{play.pid}", mark)
    parts = [path for path in folder.rglob("*") if path not in before]
    assert [path.suffix for path in parts] == [mark] * (kind == "backup")
    # A user's, and those of a play on another controller.
    others = [left.with_name(name) for name in ("ansible.mine", f"mine{mark}", f"ansible.x.{'0' * 12}-{play.pid}")]
    others += [folder / "localhost" / name for name in (".part-mine", f".part-x.{'0' * 12}-{play.pid}")]
    for path in others:
        path.mkdir()
        (path / "file").touch()
    works(demo.play(*arguments(kind)))
    assert not any(path.exists() for path in (left, *parts))
    assert all((path / "file").exists() for path in others)
    assert engine.inspect("container", name) == {}
    assert [snapshot_rows(snapshot) for snapshot in snapshots_in(folder)] == [DEFAULT_ROWS] * (1 + (kind == "backup"))
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS + ([[4, "Davi"]] if kind == "writer" else [])
    for path in others:
        shutil.rmtree(path)


def test_what_a_play_at_work_uses_is_left_alone(
    engine: Engine, demo: Demo, folder: Path, arguments: Arguments, lock: str
) -> None:
    play = demo.start(*arguments("writer"))
    child = stop(engine, demo.writer)
    (used,) = temporaries()
    engine.output("rm", "--force", lock)
    works(demo.play("playbooks/backup.yml"))
    assert (used / "input").read_text() == "nome\nBruno\nDavi\n"
    os.kill(child, signal.SIGCONT)
    works(finished(play))
    assert engine.rows(demo.image, demo.volume) == [*DEFAULT_ROWS, [4, "Davi"]]
    assert snapshot_rows(snapshots_in(folder)[-1]) == DEFAULT_ROWS
    assert temporaries() == set()


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
