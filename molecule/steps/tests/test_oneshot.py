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
from shared.demo import REPOSITORY, Demo, environment, error, temporaries, works
from shared.engine import Engine
from shared.system import wait_for

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

    def command(self, script: str, **arguments: object) -> list[str]:
        return demo.command(str(self.playbook), self.variables(script, **arguments))

    def play(self, script: str, **arguments: object) -> subprocess.CompletedProcess[str]:
        return demo.play(str(self.playbook), self.variables(script, **arguments))

    def variables(self, script: str, **arguments: object) -> str:
        names = {"oneshot_container": NAME, "oneshot_image": self.image, "oneshot_labels": LABELS}
        command = {"oneshot_entrypoint": ["sh", "-c"], "oneshot_command": [script]}
        return f"--extra-vars={json.dumps({**names, **command, **arguments})}"


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
    "left",
    ["ln -s /etc/hostname /scratch/output", "mkfifo /scratch/output", "mkdir /scratch/output", "true"],
    ids=["link", "pipe", "folder", "nothing"],
)
@pytest.mark.usefixtures("container")
def test_what_is_no_file_is_not_fetched(role: Role, tmp_path: Path, left: str) -> None:
    output, before = tmp_path / "taken", temporaries()
    assert "left no file /scratch/output (oneshot_output)" in role.fails(left, oneshot_output=str(output))
    assert not output.exists()
    assert temporaries() == before


@pytest.mark.usefixtures("container")
def test_last_line_that_is_no_object_is_one_line(role: Role) -> None:
    assert "The last line of the container" in role.fails("echo words", oneshot_json=True)
    said = role.says("echo words; echo '{}'", oneshot_json=True)
    assert (said["lines"], said["figures"]) == (["words"], {})


@pytest.mark.usefixtures("container")
def test_container_that_an_ended_play_left_is_known_whatever_its_labels_are_made_of(engine: Engine, role: Role) -> None:
    marks = [f"--label=oneshot.container={NAME}", "--label=my-app.version=7"]
    identity = engine.output("create", f"--name={NAME}", *marks, role.image, "true")
    role.says("true", oneshot_labels={"my-app.version": 7})
    assert engine.inspect("container", identity) == {}


@pytest.mark.parametrize("program", [["python3", "-m", "ansible", "playbook"], ["unshare", "-pf", "--mount-proc"]])
@pytest.mark.usefixtures("container")
def test_folder_of_a_play_that_runs_stays(role: Role, tmp_path: Path, program: list[str]) -> None:
    """However it was started: each has the processes that a play of another kind, or in a container, has."""
    output, before = tmp_path / "slow", temporaries()
    call = {"oneshot_scratch": True, "oneshot_output": str(output), "oneshot_container": f"{NAME}-slow"}
    command = role.command("sleep 15; echo done > /scratch/output", **call)
    whole = [sys.executable, *program[1:], *command[1:]] if program[0] == "python3" else [*program, *command]
    with subprocess.Popen(whole, cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE, text=True) as slow:
        wait_for(lambda: len(temporaries() - before) == 1)
        role.says("echo > /scratch/output", oneshot_scratch=True)
        result, _ = slow.communicate(timeout=120)
    assert slow.returncode == 0, result
    assert output.read_text() == "done\n"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'ERROR [X]: my own words'; exit 255", "ERROR [X]: my own words"),
        ("echo words; exit 255", "words"),
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
