"""A role that is not handed over what its caller knows of the engine asks the engine itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shared.demo import Demo, error, recaps, works
from shared.engine import Engine

PLAYBOOK = str(Path(__file__).with_name("roles.yml"))


@pytest.fixture
def alone(demo: Demo, engines: dict[str, Engine], tmp_path: Path) -> Iterator[Demo]:
    """Names of their own for what the playbook makes on alfa."""
    settings = {"base": engines["alfa"].base(demo.image), "demo_backup_dir": str(tmp_path)}
    alone = Demo("fleet_alone", settings, (*demo.options, "--limit=alfa"))
    before = engines["alfa"].state()
    yield alone
    engines["alfa"].docker("rm", "--force", f"{alone.image}-alone")
    engines["alfa"].docker("volume", "rm", alone.volume)
    tags = engines["alfa"].output("images", f"--filter=reference={alone.image}", "--format={{.Repository}}:{{.Tag}}")
    engines["alfa"].docker("image", "rm", *tags.split())
    assert engines["alfa"].state() == before


def test_roles_ask_for_what_they_are_not_told(alone: Demo, engines: dict[str, Engine]) -> None:
    output = works(alone.play(PLAYBOOK))
    assert "- '2: Bruno'" in output
    assert engines["alfa"].rows(alone.image, alone.volume) == [[1, "Alice"], [2, "Bruno"]]
    again = alone.play(PLAYBOOK)
    works(again)
    assert recaps(again)["alfa"]["changed"] == 1, "another snapshot is kept; all else is there"


def test_restore_refuses_a_snapshot_of_another_database(alone: Demo, engines: dict[str, Engine]) -> None:
    line = error(alone.play(PLAYBOOK, '--extra-vars={"restore_source": {}}'))
    assert f"is a snapshot of demo.db in the volume {alone.volume}, not of other.db in {alone.volume}" in line
    assert "restore_force takes it" in line
    assert engines["alfa"].rows(alone.image, alone.volume) == [[1, "Alice"], [2, "Bruno"]]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["tag", "{base}", "{image}:latest"], "The image {image}:latest exists and this project did not build it"),
        (["volume", "create", "{volume}"], "The volume {volume} exists and this project did not create it"),
        (
            ["create", "--name={image}-alone", "{base}", "true"],
            "The container {image}-alone (oneshot_container) exists and this role did not create it",
        ),
    ],
    ids=["image", "volume", "container"],
)
def test_roles_see_what_is_anothers(alone: Demo, engines: dict[str, Engine], command: list[str], words: str) -> None:
    names = {"base": str(alone.settings["base"]), "image": alone.image, "volume": alone.volume}
    engines["alfa"].output(*(word.format(**names) for word in command))
    assert words.format(**names) in error(alone.play(PLAYBOOK))
