"""What each verification of this scenario starts from: machines that are reached by SSH, the demo on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shared.demo import Demo, works
from shared.engine import Engine
from shared.machines import Fleet
from shared.system import wait_for
from testinfra.host import Host


def processes(folder: Path) -> list[str]:
    """Return the command lines that name a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        found += [words] if str(folder) in words else []
    return found


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The machines."""
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    yield fleet
    fleet.close()
    wait_for(lambda: processes(fleet.folder) == [])
    assert [engine.folder for engine in (fleet.second, *fleet.machines.values()) if engine.folder.exists()] == []


@pytest.fixture(scope="session")
def demo(fleet: Fleet) -> Demo:
    """The demo, on all of them."""
    demo = Demo("fleet", {}, (f"--inventory={fleet.inventory}",))
    works(demo.play("site.yml"))
    return demo


@pytest.fixture
def engines(host: Host, fleet: Fleet) -> dict[str, Engine]:
    """The engines, seen by their own client from this side, by inventory name."""
    return {name: Engine(host, address) for name, address in fleet.engines.items()}
