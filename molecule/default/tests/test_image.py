"""The image: Alpine with Python 3.12, small, unprivileged, compiled."""

from __future__ import annotations

import pytest
from outside import LABELS, Demo, Engine


def run(engine: Engine, image: str, *command: str) -> str:
    program, *arguments = command
    return engine.output("run", "--rm", "--network=none", f"--entrypoint={program}", image, *arguments)


def test_is_alpine_with_python_3_12(engine: Engine, rebuilt: Demo) -> None:
    assert "ID=alpine" in run(engine, rebuilt.image, "cat", "/etc/os-release").splitlines()
    assert run(engine, rebuilt.image, "python", "--version").startswith("Python 3.12.")


def test_says_what_it_is(engine: Engine, rebuilt: Demo) -> None:
    labels = engine.inspect("image", rebuilt.image)["Config"]["Labels"]
    assert LABELS.items() <= labels.items()
    assert labels["org.opencontainers.image.licenses"] == "MIT"
    version = labels["org.opencontainers.image.version"]
    assert f"{rebuilt.image}:{version}" in engine.inspect("image", rebuilt.image)["RepoTags"]


def test_user_is_a_number_and_owns_the_data_folder(engine: Engine, rebuilt: Demo) -> None:
    assert engine.inspect("image", rebuilt.image)["Config"]["User"] == "10001:10001"
    assert run(engine, rebuilt.image, "stat", "-c", "%u:%g", "/data") == "10001:10001"


def test_declares_no_volume(engine: Engine, rebuilt: Demo) -> None:
    assert not engine.inspect("image", rebuilt.image)["Config"].get("Volumes")


@pytest.mark.parametrize("command", ["reader", "writer"])
def test_what_it_imports_is_compiled(engine: Engine, rebuilt: Demo, command: str) -> None:
    trace = run(engine, rebuilt.image, "sh", "-c", f"python -v -I -S /app {command} 2>&1 || true")
    sources = [line for line in trace.splitlines() if line.startswith("# code object from /")]
    assert sources == []
    assert "code object from '/app/__pycache__/database.cpython-312.pyc'" in trace
