"""The view from outside: what the engine says, and what a container reads that has none of this project's code."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testinfra.backend.base import CommandResult
from testinfra.host import Host

REPOSITORY = Path(__file__).parents[1]
LABELS = {"sqlite-demo.managed-by": "ansible"}

READ = """
import json, sqlite3
connection = sqlite3.connect("file:/data/demo.db?mode=ro", uri=True)
print(json.dumps(connection.execute("SELECT id, nome FROM clientes ORDER BY id").fetchall()))
"""

LOCK = """
import sqlite3, time
connection = sqlite3.connect("/data/demo.db", isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(60)
"""


class Engine:
    """The engine as its own client shows it: an observer that shares no code with the modules under test."""

    def __init__(self, host: Host, address: str = "") -> None:
        self.host = host
        self.options = (f"--host={address}",) if address else ()

    def docker(self, *arguments: str) -> CommandResult:
        """Run one command of the engine's client."""
        words = (*self.options, *arguments)
        result: CommandResult = self.host.run("docker" + " %s" * len(words), *words)
        return result

    def output(self, *arguments: str) -> str:
        """Run one command that must work, and return what it printed."""
        result = self.docker(*arguments)
        assert result.rc == 0, result.stderr
        output: str = result.stdout
        return output.strip()

    def inspect(self, kind: str, name: str) -> dict[str, Any]:
        """Return what the engine knows of a container, image or volume; empty if it knows none."""
        found = self.docker(kind, "inspect", name)
        return json.loads(found.stdout)[0] if found.rc == 0 else {}

    def state(self) -> dict[str, list[str]]:
        """Return all that the engine has, so that two moments can be compared."""
        listings = {
            "containers": ("ps", "--all", "--quiet", "--no-trunc"),
            "images": ("images", "--no-trunc", "--format={{.Repository}}:{{.Tag}} {{.ID}}"),
            "volumes": ("volume", "ls", "--quiet"),
        }
        return {kind: sorted(self.output(*listing).splitlines()) for kind, listing in listings.items()}

    def base(self, image: str) -> str:
        """Return the name of the base image that ``image`` was built from."""
        name: str = self.inspect("image", image)["Config"]["Labels"]["org.opencontainers.image.base.name"]
        return name

    def python(self, image: str, volume: str, code: str) -> str:
        """Run ``code`` in a fresh container of the base of ``image``, with the volume read-only at /data."""
        mount = f"--volume={volume}:/data:ro"
        return self.output("run", "--rm", "--network=none", mount, self.base(image), "python3", "-c", code)

    def rows(self, image: str, volume: str) -> list[list[Any]]:
        """Return the rows in the volume, read by a container that has none of the project's code."""
        rows: list[list[Any]] = json.loads(self.python(image, volume, READ))
        return rows

    def lock(self, image: str, volume: str) -> Iterator[str]:
        """Hold the database in the volume locked, by a container whose name is yielded, until the generator ends."""
        name = f"{image}-lock"
        self.output(
            "run", "--detach", f"--name={name}", f"--volume={volume}:/data", self.base(image), "python3", "-c", LOCK
        )
        wait_for(lambda: self.output("logs", name) == "locked")
        yield name
        self.docker("rm", "--force", name)


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
        self, playbook: str, *arguments: str, at: Path = REPOSITORY, **settings: object
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the repository (or of a copy of it) to its end, with the configuration it has there."""
        command = self.command(playbook, *arguments, **settings)
        return subprocess.run(
            command, cwd=at, env=environment(), check=False, capture_output=True, text=True, timeout=300
        )

    def start(self, playbook: str, *arguments: str, **settings: object) -> subprocess.Popen[str]:
        """Start a playbook, in a process group of its own, and go on."""
        command = self.command(playbook, *arguments, **settings)
        return subprocess.Popen(
            command, cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
        )


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
    """Return the lines in which a play said why hosts failed."""
    return [line for line in result.stdout.splitlines() if line.startswith("[ERROR]")]


def error(result: subprocess.CompletedProcess[str]) -> str:
    """Return the one line in which a play said why it failed."""
    assert result.returncode != 0, result.stdout
    (line,) = errors(result)
    return line


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


def free_port() -> int:
    """Return a port of the loopback address on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until ``condition`` holds, 30 s at most.

    Raises:
        TimeoutError: it never held.
    """
    end = time.monotonic() + 30
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)
