"""The engine as its own client shows it, and what a container reads that has none of this project's code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from testinfra.backend.base import CommandResult
from testinfra.host import Host

from shared.system import wait_for

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
time.sleep(600)
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
