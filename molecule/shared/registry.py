"""A real image registry, Debian's package, unpacked but not installed."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from shared.packages import unpack
from shared.system import free_port


def prepare_registry(folder: Path, address: str) -> list[str]:
    """Lay a registry ready that has all it has in ``folder``, and return the command that runs it."""
    unpack(folder / "root", "docker-registry")
    configuration = folder / "registry.yml"
    settings = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": address},
    }
    configuration.write_text(json.dumps(settings))
    return [str(folder / "root/usr/bin/docker-registry"), "serve", str(configuration)]


@contextlib.contextmanager
def run_registry(folder: Path) -> Iterator[str]:
    """Run a registry that has all it has in ``folder``, its log in ``registry.log``, and yield its address."""
    address = f"127.0.0.1:{free_port()}"
    program = prepare_registry(folder, address)
    with (folder / "registry.log").open("w") as log, subprocess.Popen(program, stdout=log, stderr=log) as process:
        try:
            yield address
        finally:
            process.terminate()
