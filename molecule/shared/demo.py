"""The demo, run as a user runs it, and what a play printed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

REPOSITORY = Path(__file__).parents[2]
LABELS = {"sqlite-demo.managed-by": "ansible"}


@dataclass(frozen=True)
class Demo:
    """The demo under names of its own, run as a user runs it."""

    name: str
    settings: Mapping[str, object] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    @property
    def image(self) -> str:
        return f"molecule-{self.name}"

    @property
    def volume(self) -> str:
        return f"molecule_{self.name}"

    @property
    def writer(self) -> str:
        return f"{self.image}-writer"

    @property
    def reader(self) -> str:
        return f"{self.image}-reader"

    def command(self, playbook: str, *arguments: str, **settings: object) -> list[str]:
        names = {"demo_image": self.image, "demo_volume": self.volume}
        program = Path(sys.executable).with_name("ansible-playbook")
        return [
            str(program),
            playbook,
            *self.options,
            *arguments,
            f"--extra-vars={json.dumps({**names, **self.settings, **settings})}",
        ]

    def play(
        self,
        playbook: str,
        *arguments: str,
        at: Path = REPOSITORY,
        variables: Mapping[str, str] = MappingProxyType({}),
        **settings: object,
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook to its end, from the repository or from elsewhere; ``variables`` are added to the environment.

        From the repository, or a copy of it, it has the configuration of that.
        """
        command = self.command(playbook, *arguments, **settings)
        around = {**environment(), **variables}
        return subprocess.run(command, cwd=at, env=around, check=False, capture_output=True, text=True, timeout=900)

    def start(self, playbook: str, *arguments: str, **settings: object) -> subprocess.Popen[str]:
        """Start a playbook, in a process group of its own, and go on."""
        command = self.command(playbook, *arguments, **settings)
        return subprocess.Popen(
            command, cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
        )


def finished(play: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for the end of a playbook that was started."""
    output, _ = play.communicate(timeout=900)
    return subprocess.CompletedProcess(play.args, play.returncode, output)


def kill(play: subprocess.Popen[str]) -> None:
    """Kill a playbook that was started, with its workers and their modules, as a crash of the controller would."""
    numbers = [play.pid]
    for number in numbers:
        for children in Path(f"/proc/{number}/task").glob("*/children"):
            numbers += map(int, children.read_text().split())
    for number in numbers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    play.communicate()


def environment() -> dict[str, str]:
    """Return the environment without Molecule's own Ansible configuration."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}


def recaps(result: subprocess.CompletedProcess[str]) -> dict[str, dict[str, int]]:
    """Return the counts of a play's last lines by host: ok, changed, unreachable, failed and so on."""
    lines = [line.split(" : ") for line in result.stdout.splitlines() if " : ok=" in line]
    return {
        host.strip(): {name: int(count) for name, count in (pair.split("=") for pair in counts.split())}
        for host, counts in lines
    }


def recap(result: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Return the counts of the only host of a play."""
    (counts,) = recaps(result).values()
    return counts


def table(result: subprocess.CompletedProcess[str]) -> dict[str, list[str]]:
    """Return the table that a play ends with, a row a host; columns lie two spaces apart."""
    lines = result.stdout.split("TASK [Say what each host has]")[1].splitlines()
    start = next(number for number, line in enumerate(lines) if line.split()[:2] == ["host", "volume"])
    rows = [[cell.strip() for cell in line.strip().split("  ") if cell] for line in lines[start:]]
    return {cells[0]: cells[1:] for cells in rows[1 : rows.index([])]}


def errors(result: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines in which Ansible, or a play, said why it failed."""
    printed = (result.stderr or "") + result.stdout
    return [line for line in printed.splitlines() if line.startswith("[ERROR]")]


def error(result: subprocess.CompletedProcess[str]) -> str:
    """Return the one line in which a play said why it failed."""
    assert result.returncode != 0, result.stdout
    (line,) = errors(result)
    return line


def works(result: subprocess.CompletedProcess[str]) -> str:
    """Return what a play that must work said."""
    assert result.returncode == 0, result.stdout
    return result.stdout


def local_inventory(folder: Path, hosts: Mapping[str, Mapping[str, object]]) -> Path:
    """Write, into a folder of its own, an inventory of hosts that are all this machine, with these settings each."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    inventory = folder / "hosts.json"
    inventory.write_text(json.dumps({"docker_hosts": {"hosts": hosts, "vars": local}}))
    (folder / "group_vars").symlink_to(REPOSITORY / "inventory/group_vars")
    return inventory


def temporaries() -> set[Path]:
    """Return the temporary files of the roles on this machine."""
    return set(Path(os.environ["TMPDIR"]).glob("ansible.*"))


def said(result: subprocess.CompletedProcess[str]) -> str:
    """Return what a play that must work said, on one line: Ansible folds the long ones."""
    return " ".join(works(result).split())
