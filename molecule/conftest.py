"""What the verifications of every scenario start from."""

from __future__ import annotations

import os

import pytest
from outside import Engine
from testinfra.host import Host


@pytest.fixture(scope="session", autouse=True)
def _temporary(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give what plays leave on this machine for a moment a folder of its own: scenarios run side by side."""
    os.environ["TMPDIR"] = str(tmp_path_factory.mktemp("temporary"))


@pytest.fixture
def engine(host: Host) -> Engine:
    """The engine of the host under test."""
    return Engine(host)
