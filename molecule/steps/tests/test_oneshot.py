"""The role that runs a container, called as a stranger would: what it hands back, and its own words where it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shared.demo import REPOSITORY, Demo, error, temporaries, works
from shared.engine import Engine

demo = Demo("steps")

NAME = "molecule-steps-once"
LABELS = {"molecule.made-by": "steps"}
OURS = [f"--label=oneshot.container={NAME}", "--label=molecule.made-by=steps"]


@pytest.fixture
def container(engine: Engine) -> Iterator[str]:
    """The name of the container, which is gone in the end whatever the test left."""
    yield NAME
    engine.docker("rm", "--force", NAME)


class Role:
    """The role, called by a playbook of one task; what it handed back is in a file."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.image = engine.base(demo.image)
        self.result = folder / "result.json"
        call = {"ansible.builtin.include_role": {"name": "oneshot"}}
        keep = {"content": "{{ oneshot_result | to_json }}", "dest": str(self.result), "mode": "0600"}
        play = {"hosts": "docker_hosts", "gather_facts": False, "tasks": [call, {"ansible.builtin.copy": keep}]}
        self.playbook = folder / "once.yml"
        self.playbook.write_text(json.dumps([play]))

    def fails(self, script: str = "true", **arguments: object) -> str:
        """Return the one line in which it said why it failed."""
        self.result.unlink(missing_ok=True)
        line = error(self.play(script, **arguments))
        assert not self.result.exists()
        return line

    def says(self, script: str, **arguments: object) -> dict[str, Any]:
        """Return what it handed back."""
        works(self.play(script, **arguments))
        said: dict[str, Any] = json.loads(self.result.read_text())
        return said

    def play(self, script: str, **arguments: object) -> subprocess.CompletedProcess[str]:
        names = {"oneshot_container": NAME, "oneshot_image": self.image, "oneshot_labels": LABELS}
        command = {"oneshot_entrypoint": ["sh", "-c"], "oneshot_command": [script]}
        return demo.play(str(self.playbook), f"--extra-vars={json.dumps({**names, **command, **arguments})}")


@pytest.fixture
def role(engine: Engine, tmp_path: Path) -> Role:
    return Role(engine, tmp_path)


@pytest.mark.usefixtures("container")
def test_hands_back_what_the_command_said(engine: Engine, role: Role) -> None:
    said = role.says("""echo Olá; echo; echo '{"changed": false, "n": 2}'""", oneshot_json=True)
    assert said["lines"] == ["Olá", ""]
    assert said["figures"] == {"changed": False, "n": 2}
    assert (said["status"], said["error"]) == (0, "")
    assert len(said["container"]) == 64
    assert engine.inspect("container", said["container"]) == {}
    assert role.says("echo '{}'")["figures"] == {}, "nobody asked for figures"


@pytest.mark.usefixtures("container")
def test_carries_files_both_ways_and_leaves_none(role: Role, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("palavras")
    # What a play of this controller left that has ended, for no process has number 0; and what is somebody else's.
    plays = [sys.executable, str(REPOSITORY / "roles/oneshot/files/plays.py")]
    own = json.loads(subprocess.run(plays, check=True, stdout=subprocess.PIPE).stdout)["own"]
    marks = (f"{own.rpartition('-')[0]}-0", "another")
    old, other = (Path(os.environ["TMPDIR"], f"ansible.old1.{mark}") for mark in marks)
    for folder in (old, other):
        folder.mkdir()
        (folder / "input").touch()
    output = tmp_path / "taken"
    script = "tr a-z A-Z < /input > /scratch/output && ! touch /input"
    role.says(script, oneshot_file=str(tmp_path / "given"), oneshot_scratch=True, oneshot_output=str(output))
    assert output.read_text() == "PALAVRAS"
    assert temporaries() == {other}
    line = role.fails("echo half > /scratch/output; exit 3", oneshot_scratch=True, oneshot_output=f"{output}.2")
    assert "ended with status 3 and said nothing" in line
    assert not Path(f"{output}.2").exists()
    assert temporaries() == {other}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 5", f"The container {NAME} ended with status 5 and said nothing"),
        ("kill -TERM $$", f"The container {NAME} was ended by signal 15"),
        ("echo words >&2; exit 1", "words"),
        ("echo '  ERRO [USO]: stored'; echo 'ERRO [OCUPADO]: own' >&2; exit 6", "ERRO [OCUPADO]: own"),
        ("echo 'ERROR [DAMAGED]: own' >&2; echo later; exit 4", "ERROR [DAMAGED]: own"),
    ],
)
def test_command_that_fails_is_one_line(engine: Engine, role: Role, container: str, script: str, words: str) -> None:
    assert words in role.fails(script)
    assert engine.inspect("container", container) == {}


def test_time_out_is_one_line_and_removes_the_container(engine: Engine, role: Role, container: str) -> None:
    assert "Timed out after 2 second" in role.fails("sleep 60", oneshot_timeout=2)
    assert engine.inspect("container", container) == {}


def test_command_that_is_not_there_is_one_line(engine: Engine, role: Role, container: str) -> None:
    assert "/nothing" in role.fails(oneshot_entrypoint=["/nothing"])
    assert engine.inspect("container", container) == {}


@pytest.mark.usefixtures("container")
def test_image_that_is_not_there_is_one_line(role: Role) -> None:
    line = role.fails(oneshot_image="molecule-steps-nothing:1")
    assert f"The container {NAME} could not be run" in line
    assert "molecule-steps-nothing:1" in line


def test_volume_that_is_not_there_is_one_line_and_is_not_made(engine: Engine, role: Role, container: str) -> None:
    line = role.fails(oneshot_volume="molecule_steps_nothing")
    assert "There is no volume molecule_steps_nothing (oneshot_volume)" in line
    assert engine.inspect("volume", "molecule_steps_nothing") == {}
    assert engine.inspect("container", container) == {}


@pytest.mark.parametrize("labels", [[], OURS[:1], OURS[1:], [f"--label=oneshot.container={NAME}x", OURS[1]]])
def test_container_of_somebody_else_is_one_line(engine: Engine, role: Role, container: str, labels: list[str]) -> None:
    identity = engine.output("create", f"--name={container}", *labels, role.image, "true")
    line = role.fails()
    assert f"The container {container} (oneshot_container) exists and this role did not create it" in line
    assert engine.inspect("container", container)["Id"] == identity


@pytest.mark.parametrize("state", ["running", "paused"])
def test_container_that_is_at_work_is_one_line(engine: Engine, role: Role, container: str, state: str) -> None:
    identity = engine.output("run", "--detach", f"--name={container}", *OURS, role.image, "sleep", "60")
    if state == "paused":
        engine.output("pause", container)
    line = role.fails()
    assert f"The container {container} (oneshot_container) is running" in line
    assert engine.inspect("container", container)["Id"] == identity
    assert engine.inspect("container", container)["State"]["Status"] == state


def test_container_that_was_left_is_replaced(engine: Engine, role: Role, container: str) -> None:
    for left in (["create"], ["run", "--detach"]):
        identity = engine.output(*left, f"--name={container}", *OURS, role.image, "true")
        assert role.says("echo new")["lines"] == ["new"]
        assert engine.inspect("container", identity) == {}
