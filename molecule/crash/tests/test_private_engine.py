"""The engine of these tests leaves nothing behind, in whatever way its test ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from shared.demo import REPOSITORY, Demo
from shared.engine import Engine
from shared.system import wait_for

# A test that has a container running with a volume, and is then interrupted.
TEST = """
import signal, subprocess, sys, time
from pathlib import Path
from shared.private_engine import PrivateEngine
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
private = PrivateEngine()
private.tell("start")
while not (private.folder / "docker.sock").exists():
    time.sleep(0.05)
docker = ["docker", f"--host={private.address}"]
subprocess.run([*docker, "load", f"--input={sys.argv[1]}"], check=True, stdout=subprocess.DEVNULL)
start = ["run", "--detach", "--init", "--volume=data:/data", sys.argv[2], "sleep", "inf"]
subprocess.run([*docker, *start], check=True, stdout=subprocess.DEVNULL)
print(private.folder, flush=True)
time.sleep(60)
"""


def traces(folder: str) -> list[str]:
    """Return what there is of an engine: processes, mounts, control groups, and its folder with socket and files."""
    found = [folder] if Path(folder).exists() else []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode() + (process / "cgroup").read_text()
            mounts = (process / "mounts").read_text()
        except (OSError, UnicodeDecodeError):
            continue
        found += [f"{process}: {words}"] if folder in words or Path(folder).name in words or folder in mounts else []
    for path, _, _ in os.walk("/sys/fs/cgroup"):
        found += [path] if path.endswith(f"/{Path(folder).name}") else []
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_test_is_interrupted(
    engine: Engine, demo: Demo, folder: Path, number: signal.Signals
) -> None:
    archive, base = folder / "base.tar", engine.base(demo.image)
    engine.output("save", f"--output={archive}", base)
    command = [sys.executable, "-c", TEST, str(archive), base]
    with subprocess.Popen(
        command, cwd=REPOSITORY / "molecule", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as test:
        assert test.stdout
        name = test.stdout.readline().strip()
        assert len(traces(name)) > 4, "it is all there"
        test.send_signal(number)
        assert test.wait(timeout=10) != 0
        wait_for(lambda: traces(name) == [])
