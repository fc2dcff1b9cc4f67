"""What the verifications of every scenario start from."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from shared.engine import Engine
from shared.private_engine import PrivateEngine
from shared.system import wait_for
from testinfra.host import Host


@pytest.fixture(scope="session", autouse=True)
def _temporary(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give what plays leave on this machine for a moment a folder of its own: scenarios run side by side."""
    os.environ["TMPDIR"] = str(tmp_path_factory.mktemp("temporary"))


@pytest.fixture
def engine(host: Host) -> Engine:
    """The engine of the host under test."""
    return Engine(host)


@pytest.fixture(scope="session")
def private() -> Iterator[PrivateEngine]:
    """An engine of the tests' own, beside that of the host."""
    private = PrivateEngine()
    private.tell("start")
    wait_for((private.folder / "docker.sock").exists)
    yield private
    private.close()
