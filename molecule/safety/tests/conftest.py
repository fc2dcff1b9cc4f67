"""What each verification of this scenario starts from: a volume of three records, a folder for snapshots."""

from __future__ import annotations

from pathlib import Path

import pytest
from shared.demo import Demo
from shared.engine import Engine
from shared.volumes import fill


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder on the controller where snapshots land."""
    return tmp_path / "backups"


@pytest.fixture
def demo(engine: Engine, folder: Path) -> Demo:
    """The demo that converge made, with its three records and nothing else in the volume."""
    demo = Demo("safety", {"demo_backup_dir": str(folder)})
    fill(engine, demo, '["Alice", "Bruno", "Carla"]')
    return demo
