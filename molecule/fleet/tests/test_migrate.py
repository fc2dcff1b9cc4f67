"""Data move from one machine to another, whole or not at all, and the source keeps them until they are proven."""

from __future__ import annotations

import copy
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from shared.demo import LABELS, Demo, error, recaps, works
from shared.engine import Engine
from shared.machines import FIRST, SECOND, Fleet
from shared.system import kill_tree, wait_for
from shared.volumes import change, file_hashes, fill

MIGRATE = "playbooks/migrate.yml"
NAMES = [f"Cliente {number}" for number in range(5000)]
CHANGE = """
import sqlite3
connection = sqlite3.connect("/data/demo.db", timeout=60)
connection.execute("{}")
connection.commit()
"""
INSERT = CHANGE.format("INSERT INTO clientes (nome) VALUES ('Zeca')")
RENAME = CHANGE.format("UPDATE clientes SET nome = 'Zeca' WHERE id = 1")
# What the source holds, and the target; how to see that they are not the same.
NUMBER, VALUE = "CREATE TABLE notas (valor)", "UPDATE clientes SET nome = {} WHERE id = 1"
LOOK_THE_SAME = [
    ([VALUE.format("x'416c696365'")], [VALUE.format("'Alice'")], "SELECT typeof(nome) FROM clientes"),
    (
        [NUMBER, "INSERT INTO notas VALUES (1)"],
        [NUMBER, "INSERT INTO notas VALUES (1.0)"],
        "SELECT typeof(valor) FROM notas",
    ),
    (["PRAGMA user_version = 1"], ["PRAGMA user_version = 2"], "PRAGMA user_version"),
    (["PRAGMA application_id = 1"], [], "PRAGMA application_id"),
]
ASK = """
import sqlite3
print(sqlite3.connect("file:/data/demo.db?mode=ro", uri=True).execute("{}").fetchall())
"""


@pytest.fixture
def moving(demo: Demo, engines: dict[str, Engine], tmp_path: Path) -> Iterator[Demo]:
    """The demo with a volume of its own: 5,000 records on alfa, nothing anywhere else."""
    settings = {"demo_volume": "molecule_fleet_moving", "demo_backup_dir": str(tmp_path / "backups")}
    moving = Moving(demo.name, settings, demo.options)
    populate(engines["alfa"], moving)
    yield moving
    for engine in engines.values():
        engine.docker("volume", "rm", "--force", moving.volume)


def populate(engine: Engine, moving: Demo) -> None:
    """Create the volume and fill it."""
    (label,) = LABELS.items()
    engine.output("volume", "create", f"--label={'='.join(label)}", moving.volume)
    # From the image, the volume gets its owner.
    engine.output("run", "--rm", f"--volume={moving.volume}:/data", "--entrypoint=true", moving.image)
    fill(engine, moving, 'map("Cliente {}".format, range(5000))')


class Moving(Demo):
    """The demo with another volume."""

    @property
    def volume(self) -> str:
        return str(self.settings["demo_volume"])


def route(source: str, target: str) -> dict[str, Any]:
    return {"demo_migrate_from": source, "demo_migrate_to": target}


def names(engine: Engine, demo: Demo) -> list[str]:
    return [name for _, name in engine.rows(demo.image, demo.volume)]


def volumes(engine: Engine) -> list[str]:
    return engine.state()["volumes"]


def test_there_again_and_back(moving: Demo, fleet: Fleet, engines: dict[str, Engine]) -> None:
    alfa, beta = engines["alfa"], engines["beta"]
    before = file_hashes(alfa, moving)
    others = [engines[name].state() for name in ("gama", SECOND)]
    for changed in (True, False):
        # Each side waits for the other, whatever the user's environment asks for.
        result = moving.play(MIGRATE, variables={"ANSIBLE_STRATEGY": "free"}, **route("alfa", "beta"))
        assert "5000 on both sides" in works(result)
        assert (recaps(result)["beta"]["changed"] > 0) == changed
        assert names(alfa, moving) == names(beta, moving) == NAMES
        assert file_hashes(alfa, moving) == before, "the source is byte for byte what it was"
    assert [engines[name].state() for name in ("gama", SECOND)] == others
    change(beta, moving, INSERT)
    result = moving.play(MIGRATE, **route("beta", "alfa"))
    assert "holds 5000 records and was left as it is" in error(result)
    assert file_hashes(alfa, moving) == before
    assert fleet.leftovers() == set()
    works(moving.play(MIGRATE, **route("beta", "alfa"), demo_restore_force=True))
    assert names(alfa, moving) == names(beta, moving) == [*NAMES, "Zeca"]
    assert alfa.state()["containers"] == beta.state()["containers"] == []


def test_between_engines_of_one_host_to_one_without_image_and_the_source_is_removed(
    moving: Demo, engines: dict[str, Engine]
) -> None:
    source, target = engines[FIRST], engines[SECOND]
    populate(source, moving)
    target.output("image", "rm", *target.output("images", "--format={{.Repository}}:{{.Tag}}").split())
    before = source.state()
    output = works(moving.play(MIGRATE, **route(FIRST, SECOND), demo_migrate_remove_source=True))
    assert "its volume is removed" in output
    assert source.state() == before | {"volumes": [name for name in before["volumes"] if name != moving.volume]}
    assert names(target, moving) == NAMES
    assert names(engines["alfa"], moving) == NAMES
    assert "There is no volume" in error(moving.play(MIGRATE, **route(FIRST, SECOND)))


def test_source_that_holds_more_than_is_moved_stays(moving: Demo, engines: dict[str, Engine]) -> None:
    change(engines["alfa"], moving, "open('/data/outro.db', 'wb').close()")
    before = file_hashes(engines["alfa"], moving)
    line = error(moving.play(MIGRATE, **route("alfa", "beta"), demo_migrate_remove_source=True))
    assert f"The volume {moving.volume} of alfa holds more than demo.db: outro.db" in line
    assert file_hashes(engines["alfa"], moving) == before
    assert names(engines["beta"], moving) == NAMES


def test_check_mode_changes_nothing(moving: Demo, engines: dict[str, Engine]) -> None:
    before = {name: engine.state() for name, engine in engines.items()}
    output = works(moving.play(MIGRATE, "--check", **route("alfa", "beta")))
    assert "The data of alfa would be moved to beta" in output
    assert {name: engine.state() for name, engine in engines.items()} == before


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        ([], {}, "must be two hosts"),
        ([], route("alfa", "nenhum"), "demo_migrate_to (nenhum) must be two hosts"),
        ([], route("alfa", "alfa"), "must be two hosts"),
        (["--limit=alfa,gama"], route("alfa", "beta"), "must be two hosts"),
        ([], route("beta", "alfa"), "There is no volume molecule_fleet_moving on beta to move"),
        ([], route("alfa", "beta") | {"demo_volume": "x"}, "demo_volume must be"),
    ],
)
def test_what_cannot_be_moved(
    moving: Demo, engines: dict[str, Engine], arguments: list[str], settings: dict[str, Any], words: str
) -> None:
    before = {name: engine.state() for name, engine in engines.items()}
    result = moving.play(MIGRATE, *arguments, **settings)
    assert result.returncode != 0
    assert words in result.stdout
    assert {name: engine.state() for name, engine in engines.items()} == before


def test_a_volume_is_not_moved_onto_itself(moving: Demo, fleet: Fleet, engines: dict[str, Engine]) -> None:
    """Under two names, one engine and its volume would look like two; and the only one would be removed."""
    group = copy.deepcopy(fleet.group)
    group["hosts"] = {"alfa": group["hosts"]["alfa"], "outra": group["hosts"]["alfa"]}
    twice = Moving(moving.name, moving.settings, (f"--inventory={fleet.write('twice', group)}",))
    result = twice.play(MIGRATE, **route("alfa", "outra"), demo_migrate_remove_source=True)
    assert "The volume molecule_fleet_moving of outra is the one of alfa" in error(result)
    assert names(engines["alfa"], moving) == NAMES


def test_a_source_without_image_is_told_so(moving: Demo, engines: dict[str, Engine]) -> None:
    alfa, latest, aside = engines["alfa"], f"{moving.image}:latest", "molecule-fleet-aside:1"
    alfa.output("tag", latest, aside)
    alfa.output("image", "rm", latest)
    try:
        assert f"There is no image {latest} to run" in error(moving.play(MIGRATE, **route("alfa", "beta")))
        assert moving.volume not in volumes(engines["beta"])
    finally:
        alfa.output("tag", aside, latest)
        alfa.output("image", "rm", aside)


def test_somebody_elses_volume_at_the_target_stays(moving: Demo, engines: dict[str, Engine]) -> None:
    beta = engines["beta"]
    beta.output("volume", "create", moving.volume)
    change(beta, moving, "open('/tmp/x', 'w')")
    result = moving.play(MIGRATE, **route("alfa", "beta"), demo_migrate_remove_source=True)
    assert "this project did not create it" in error(result)
    assert file_hashes(beta, moving) == {}
    assert names(engines["alfa"], moving) == NAMES


def test_what_is_written_meanwhile_is_not_lost(moving: Demo, engines: dict[str, Engine], tmp_path: Path) -> None:
    """A record of the source changes once its snapshot is taken: both sides hold as many, and the source must stay."""

    def insert() -> None:
        wait_for(lambda: list((tmp_path / "backups/alfa").glob("*.gz")))
        change(engines["alfa"], moving, RENAME)

    writer = Thread(target=insert)
    writer.start()
    result = moving.play(MIGRATE, **route("alfa", "beta"), demo_migrate_remove_source=True)
    writer.join()
    assert "alfa holds 5000 records and beta 5000, not the same ones" in error(result)
    assert names(engines["alfa"], moving) == ["Zeca", *NAMES[1:]]


def test_what_only_looks_the_same_is_replaced_if_that_is_asked(moving: Demo, engines: dict[str, Engine]) -> None:
    alfa, beta = engines["alfa"], engines["beta"]
    for source, target, query in LOOK_THE_SAME:
        for engine, statements in ((alfa, source), (beta, target)):
            populate(engine, moving)
            for statement in statements:
                change(engine, moving, CHANGE.format(statement))
        before = file_hashes(beta, moving)
        line = error(moving.play(MIGRATE, **route("alfa", "beta")))
        assert "was left as it is; to replace it, use -e demo_restore_force=true" in line, query
        assert file_hashes(beta, moving) == before
        assert "on both sides" in works(moving.play(MIGRATE, **route("alfa", "beta"), demo_restore_force=True))
        found, expected = (change(engine, moving, ASK.format(query)) for engine in (beta, alfa))
        assert found == expected, query
    assert recaps(moving.play(MIGRATE, **route("alfa", "beta")))["beta"]["changed"] == 0


@pytest.mark.parametrize("moment", ["snapshot", "transfer", "restore", "verification"])
def test_a_migration_that_is_killed_can_be_run_again(
    moving: Demo, fleet: Fleet, engines: dict[str, Engine], tmp_path: Path, moment: str
) -> None:
    alfa, beta = engines["alfa"], engines["beta"]
    before = file_hashes(alfa, moving)
    reached = {
        "snapshot": lambda: f"{moving.image}-backup" in running(alfa),
        "transfer": lambda: list((tmp_path / "backups/alfa").glob("*.gz")),
        "restore": lambda: moving.volume in volumes(beta) and f"{moving.image}-restore" in running(beta),
        "verification": lambda: f"{moving.image}-backup" in beta.output("ps", "--all", "--format={{.Names}}"),
    }[moment]
    play = moving.start(MIGRATE, **route("alfa", "beta"), demo_migrate_remove_source=True)
    wait_for(reached)
    kill_tree(play.pid)
    assert play.wait(timeout=120) == -signal.SIGKILL
    if moment in ("snapshot", "restore"):
        assert fleet.leftovers() != set(), "nobody was left to remove them"
    if moment == "snapshot":
        assert list(tmp_path.glob("backups/alfa/.part-*")) != []
    assert file_hashes(alfa, moving) == before, "the source is whole"
    # What ran on the hosts has not heard of it.
    wait_for(lambda: running(alfa) == running(beta) == [])
    works(moving.play(MIGRATE, **route("alfa", "beta"), demo_migrate_remove_source=True))
    assert names(beta, moving) == NAMES
    assert moving.volume not in volumes(alfa)
    assert alfa.state()["containers"] == beta.state()["containers"] == []
    assert fleet.leftovers() == set(), "what the first one left, the second has removed"
    assert list(tmp_path.glob("backups/alfa/.part-*")) == []


def running(engine: Engine) -> list[str]:
    return engine.output("ps", "--format={{.Names}}").split()
