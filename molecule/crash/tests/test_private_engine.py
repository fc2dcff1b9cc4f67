"""The engine of the tests is as it was asked for, and leaves nothing behind, in whatever way its test ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from shared.demo import REPOSITORY, Demo
from shared.engine import Engine
from shared.private_engine import PrivateEngine
from shared.system import wait_for
from testinfra.host import Host

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
        assert test.wait(timeout=120) != 0
        wait_for(lambda: traces(name) == [])


@pytest.fixture(scope="module")
def special(host: Host, private: PrivateEngine, demo: Demo) -> Iterator[Engine]:
    """An engine with a /tmp of its own, without docker-init, that keeps little of what containers print."""
    special = PrivateEngine(tmp=True, init=False, options={"log-driver": "json-file", "log-opts": {"max-size": "1k"}})
    try:
        special.tell("start")
        wait_for((special.folder / "docker.sock").exists)
        archive, usual = private.scratch / "special.tar", Engine(host)
        usual.output("save", f"--output={archive}", usual.base(demo.image))
        engine = Engine(host, special.address)
        engine.output("load", f"--input={archive}")
        yield engine
    finally:
        special.close()


def test_engine_with_a_tmp_of_its_own_does_not_see_this_one(special: Engine, engine: Engine, demo: Demo) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as shared:
        (Path(shared) / "file").touch()
        look = ("run", "--rm", f"--volume={shared}:/shared", engine.base(demo.image), "ls", "/shared")
        assert (engine.output(*look), special.output(*look)) == ("file", "")


def test_engine_without_docker_init_runs_nothing_with_it(special: Engine, engine: Engine, demo: Demo) -> None:
    base = engine.base(demo.image)
    engine.output("run", "--rm", "--init", base, "true")
    special.output("run", "--rm", base, "true")
    assert "/nonexistent" in special.docker("run", "--rm", "--init", base, "true").stderr


def test_engine_keeps_as_much_as_its_configuration_says(special: Engine, engine: Engine, demo: Demo) -> None:
    assert special.output("info", "--format={{.LoggingDriver}}") == "json-file"
    kept = []
    for one in (engine, special):
        one.output("run", "--name=talker", engine.base(demo.image), "seq", "1000")
        kept.append(len(one.output("logs", "talker").splitlines()))
        one.output("rm", "talker")
    assert kept[0] == 1000
    assert 0 < kept[1] < 100
