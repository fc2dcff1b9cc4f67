"""The image: Alpine with Python 3.12, small, unprivileged, compiled."""

from __future__ import annotations

import pytest
from shared.demo import LABELS, Demo
from shared.engine import Engine


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
def test_what_it_imports_of_the_library_is_compiled(engine: Engine, rebuilt: Demo, command: str) -> None:
    trace = run(engine, rebuilt.image, "sh", "-c", f"python -v /app/__main__.py {command} 2>&1 || true")
    compiled = [
        line.removeprefix("# code object from ") for line in trace.splitlines() if "# code object from /" in line
    ]
    # The program's own modules are few and small.
    assert [path for path in compiled if not path.startswith("/app/")] == []
    assert f"/app/{command}.py" in compiled


def test_what_it_does_not_import_is_there_all_the_same(engine: Engine, rebuilt: Demo) -> None:
    others = "encodings.cp437, encodings.latin_1, importlib.metadata, sqlite3.dump, collections.abc, zipfile, json"
    assert run(engine, rebuilt.image, "python", "-c", f"import {others}; print('all')") == "all"


def test_adds_no_more_than_260_kb_to_its_base(engine: Engine, rebuilt: Demo) -> None:
    image, base = (engine.inspect("image", name) for name in (rebuilt.image, engine.base(rebuilt.image)))
    assert image["Size"] - base["Size"] < 260_000
    assert len(image["RootFS"]["Layers"]) == len(base["RootFS"]["Layers"]) + 2
