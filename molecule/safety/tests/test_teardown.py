"""Before data is destroyed, the play says so; and where asked for, it is saved first, or it stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shared.demo import Demo, error, finished, kill, works
from shared.engine import Engine
from shared.snapshots import snapshot_rows, snapshots_in
from shared.system import wait_for
from shared.volumes import DAMAGE_PAGE, DEFAULT_ROWS, change, file_hashes


def test_first_words_are_what_will_be_destroyed(engine: Engine, demo: Demo) -> None:
    before = engine.state()
    said = " ".join(works(demo.play("teardown.yml", "--check")).split())
    words = said[said.index("msg: ") :]
    assert words.startswith("msg: This removes the containers [], the images ["), words
    assert f"the volume {demo.volume} WITH ALL ITS DATA" in words
    assert f"{demo.image}:latest" in words
    said = " ".join(works(demo.play("teardown.yml", "--check", demo_keep_volume=True)).split())
    assert "WITH ALL ITS DATA" not in said
    assert f"The volume {demo.volume} stays" in said
    assert engine.state() == before


@pytest.mark.parametrize("yes", ["yes", "1"])
def test_snapshot_that_fails_stops_it(engine: Engine, demo: Demo, folder: Path, yes: str) -> None:
    change(engine, demo, DAMAGE_PAGE)
    before, state = file_hashes(engine, demo), engine.state()
    result = demo.play("teardown.yml", demo_backup_before_teardown=yes)
    assert "ERROR [DAMAGED]: /data/demo.db" in error(result)
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


def test_volume_that_holds_more_than_is_saved_stays(engine: Engine, demo: Demo, folder: Path) -> None:
    works(demo.play("site.yml", "--tags=write", demo_database="outro.db"))
    before, state = file_hashes(engine, demo), engine.state()
    line = error(demo.play("teardown.yml", demo_backup_before_teardown=True))
    assert f"The volume {demo.volume} holds more than demo.db: outro.db" in line
    assert "nothing was removed" in line
    assert (file_hashes(engine, demo), engine.state()) == (before, state)
    assert len(snapshots_in(folder)) == 1
    change(engine, demo, "import os; os.remove('/data/outro.db')")


WRITE_WHEN_TOLD = """
import os, sqlite3, time
while not os.path.exists("/told/now"):
    time.sleep(0.01)
connection = sqlite3.connect("/data/demo.db", timeout=60)
connection.execute("INSERT INTO clientes (nome) VALUES ('Davi')")
connection.commit()
"""


def test_write_after_the_snapshot_stops_it(engine: Engine, demo: Demo, folder: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.mkdir()
    mounts = [f"--volume={demo.volume}:/data", f"--volume={told}:/told"]
    late = ["run", "--detach", "--rm", "--init", "--user=10001", *mounts, engine.base(demo.image)]
    before = engine.state()
    play = demo.start("teardown.yml", demo_backup_before_teardown=True)
    engine.output(*late, "python3", "-c", WRITE_WHEN_TOLD)
    wait_for(lambda: snapshots_in(folder))
    (told / "now").touch()
    line = error(finished(play))
    assert "wrote to the database demo.db" in line
    assert "nothing was removed" in line
    assert engine.state() == before
    assert engine.rows(demo.image, demo.volume) == [*DEFAULT_ROWS, [4, "Davi"]]
    works(demo.play("teardown.yml", demo_backup_before_teardown=True))
    assert snapshot_rows(snapshots_in(folder)[-1]) == [*DEFAULT_ROWS, [4, "Davi"]]


@pytest.fixture
def late(demo: Demo, engine: Engine) -> Iterator[str]:
    """The name of a container that starts late."""
    yield f"{demo.image}-late"
    engine.docker("rm", "--force", f"{demo.image}-late")


@pytest.mark.parametrize("of", ["volume", "image"])
def test_container_that_starts_meanwhile_stops_it(engine: Engine, demo: Demo, folder: Path, late: str, of: str) -> None:
    before = engine.state()
    start = ["run", "--detach", "--init", f"--name={late}"]
    if of == "volume":
        start += [f"--volume={demo.volume}:/data", engine.base(demo.image), "sleep", "600"]
    else:
        start += ["--entrypoint=sleep", demo.image, "600"]
    play = demo.start("teardown.yml", demo_backup_before_teardown=True)
    wait_for(lambda: list(folder.glob("localhost/.part-*")))
    engine.output(*start)
    line = error(finished(play))
    assert late in line
    assert "nothing was touched" in line
    assert engine.inspect("container", late)["State"]["Running"]
    engine.output("rm", "--force", late)
    assert engine.state() == before
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS


@pytest.mark.parametrize("moment", ["saved", "volume went"])
def test_killed_one_can_be_run_again(engine: Engine, demo: Demo, folder: Path, moment: str) -> None:
    play = demo.start("teardown.yml", demo_backup_before_teardown=True)
    wait_for(lambda: snapshots_in(folder) if moment == "saved" else not engine.inspect("volume", demo.volume))
    kill(play)
    assert bool(engine.inspect("volume", demo.volume)) == (moment == "saved")
    assert engine.inspect("image", demo.image)
    wait_for(lambda: not engine.output("ps", "--quiet", f"--filter=name={demo.image}-"))
    works(demo.play("teardown.yml", demo_backup_before_teardown=True))
    assert (engine.inspect("volume", demo.volume), engine.inspect("image", demo.image)) == ({}, {})
    kept = snapshots_in(folder)
    assert [snapshot_rows(snapshot) for snapshot in kept] == [DEFAULT_ROWS] * (2 if moment == "saved" else 1)
    works(demo.play("playbooks/restore.yml", demo_backup_file=str(kept[-1])))
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS
