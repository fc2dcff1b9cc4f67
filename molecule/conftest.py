"""What the verifications of every scenario start from."""

from __future__ import annotations

import pytest
from outside import Engine
from testinfra.host import Host


@pytest.fixture
def engine(host: Host) -> Engine:
    """The engine of the host under test."""
    return Engine(host)
