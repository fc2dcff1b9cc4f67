"""Before data is destroyed, the play says so; and where asked for, it is saved first, or it stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from shared.demo import Demo, error, works
from shared.engine import Engine
from shared.snapshots import snapshot_rows, snapshots_in
from shared.volumes import DAMAGE_PAGE, DEFAULT_ROWS, change, file_hashes


def test_first_words_are_what_will_be_destroyed(engine: Engine, demo: Demo) -> None:
    before = engine.state()
    said = " ".join(works(demo.play("teardown.yml", "--check")).split())
    words = said[said.index("msg: ") :]
    assert words.startswith("msg: 'This removes:") or words.startswith("msg: This removes"), words
    assert f"the volume {demo.volume} WITH ALL ITS DATA" in words
    assert f"the image {demo.image}:latest" in words
    said = " ".join(works(demo.play("teardown.yml", "--check", demo_keep_volume=True)).split())
    assert "WITH ALL ITS DATA" not in said
    assert f"The volume {demo.volume} stays" in said
    assert engine.state() == before


@pytest.mark.parametrize("yes", ["yes", "1"])
def test_snapshot_that_fails_stops_it(engine: Engine, demo: Demo, folder: Path, yes: str) -> None:
    change(engine, demo, DAMAGE_PAGE)
    before, state = file_hashes(engine, demo), engine.state()
    result = demo.play("teardown.yml", demo_backup_before_teardown=yes)
    assert "ERRO [CORROMPIDO]: /data/demo.db" in error(result)
    assert (file_hashes(engine, demo), engine.state()) == (before, state)
    assert snapshots_in(folder) == []


def test_no_image_to_take_it_with_stops_it(engine: Engine, demo: Demo, folder: Path) -> None:
    works(demo.play("teardown.yml", demo_keep_volume=True, demo_backup_before_teardown=True))
    assert snapshots_in(folder) == [], "what stays needs no snapshot"
    assert "There is no image" in error(demo.play("teardown.yml", demo_backup_before_teardown=True))
    assert engine.inspect("volume", demo.volume)
    works(demo.play("site.yml", "--tags=build"))
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS


def test_volume_goes_once_it_is_saved(engine: Engine, demo: Demo, folder: Path) -> None:
    works(demo.play("teardown.yml", demo_backup_before_teardown=True))
    assert engine.inspect("volume", demo.volume) == {}
    (snapshot,) = snapshots_in(folder)
    assert snapshot_rows(snapshot) == DEFAULT_ROWS
    works(demo.play("teardown.yml", demo_backup_before_teardown=True))
    assert snapshots_in(folder) == [snapshot], "there was nothing more to save"
    clean = engine.state()
    works(demo.play("playbooks/restore.yml", "--check", "--diff", demo_backup_file=str(snapshot)))
    assert engine.state() == clean
    works(demo.play("playbooks/restore.yml", demo_backup_file=str(snapshot)))
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS
    assert "        1: Alice\n        2: Bruno\n        3: Carla\n" in works(demo.play("site.yml", "--tags=read"))
