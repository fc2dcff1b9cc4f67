"""What each verification of this scenario starts from: a volume of three records, a folder for snapshots."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from shared.demo import Demo, works
from shared.engine import Engine
from shared.snapshots import snapshots_in
from shared.volumes import fill
from testinfra.host import Host


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder on the controller where snapshots land."""
    return tmp_path / "backups"


@pytest.fixture
def demo(engine: Engine, folder: Path) -> Demo:
    """The demo as converge made it, with its three records and nothing else in the volume."""
    demo = Demo("safety", {"demo_backup_dir": str(folder)})
    if not (engine.inspect("image", demo.image) and engine.inspect("volume", demo.volume)):
        works(demo.play("site.yml"))
    fill(engine, demo, '["Alice", "Bruno", "Carla"]')
    return demo


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, host: Host) -> Path:
    """A folder with a snapshot of the three records."""
    folder = tmp_path_factory.mktemp("three")
    demo = Demo("safety", {"demo_backup_dir": str(folder)})
    fill(Engine(host), demo, '["Alice", "Bruno", "Carla"]')
    works(demo.play("playbooks/backup.yml"))
    return folder


@pytest.fixture
def saved(three: Path, folder: Path) -> Path:
    """A snapshot of the three records, in the folder of the test."""
    shutil.copytree(three, folder)
    (snapshot,) = snapshots_in(folder)
    return snapshot
