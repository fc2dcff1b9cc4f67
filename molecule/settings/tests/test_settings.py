"""The table of wrong settings: each stops the play in one clear line, with the engine as it was."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from shared.demo import REPOSITORY, Demo, environment, error, local_inventory
from shared.engine import Engine
from testinfra.host import Host

demo = Demo("settings")

# setting, wrong value, what the line says beside the setting's name
WRONG: list[tuple[str, Any, str]] = [
    ("demo_docker_host", "", "the address of a Docker Engine"),
    ("demo_docker_host", "localhost", "the address of a Docker Engine"),
    ("demo_docker_host", 5, "the address of a Docker Engine"),
    ("demo_docker_host", "unix:///nowhere.sock", "No Docker Engine answers"),
    ("demo_docker_host", "tcp://127.0.0.1:1", "No Docker Engine answers"),
    ("demo_base_image", "", "an image name with its tag"),
    ("demo_base_image", "python", "an image name with its tag"),
    ("demo_base_image", "Python:3.12", "an image name with its tag"),
    ("demo_base_image", "python:3.12 alpine", "an image name with its tag"),
    ("demo_base_image", "python@sha256:1234", "an image name with its tag or digest"),
    ("demo_base_image", ["python:3.12-alpine"], "an image name with its tag"),
    ("demo_base_image_source", "dockerhub", "auto, local, registry, archive or wheels"),
    (
        "demo_base_image_source",
        "archive",
        "demo_base_image_archive must be given when demo_base_image_source is archive",
    ),
    ("demo_base_image_archive", "/nowhere.tar", "a file on this machine"),
    ("demo_base_image_archive", "/", "a file on this machine"),
    ("demo_base_image_archive", ["base.tar"], "a file on this machine"),
    ("demo_image", "", "an image name in lower case"),
    ("demo_image", "SQLite-Demo", "an image name in lower case"),
    ("demo_image", "sqlite-demo:1", "without a tag"),
    ("demo_image", "demo\n", "an image name in lower case"),
    *(
        ("demo_image", name, "an image name in lower case")
        for name in ("-demo", "a..b", "a//b", "a/.b", "Foo/bar", "a___b")
    ),
    ("demo_image", "a" * 64, "an image name in lower case"),
    ("demo_image", "i" * 201, "an image name in lower case"),
    ("demo_image", 5, "an image name in lower case"),
    ("demo_volume", "", "2 to 200 letters"),
    ("demo_volume", "x", "2 to 200 letters"),
    ("demo_volume", "data\n", "2 to 200 letters"),
    ("demo_volume", "/srv/data", "2 to 200 letters"),
    ("demo_volume", "../data", "2 to 200 letters"),
    ("demo_volume", "dados do João", "2 to 200 letters"),
    ("demo_volume", "data:ro", "2 to 200 letters"),
    ("demo_volume", "v" * 201, "2 to 200 letters"),
    ("demo_volume", None, "2 to 200 letters"),
    ("demo_adopt_volume", "maybe", "must be true or false"),
    ("demo_adopt_volume", ["true"], "must be true or false"),
    ("demo_adopt_volume", None, "must be true or false"),
    ("demo_database", "", "a file name without a folder"),
    ("demo_database", "demo.db\n", "a file name without a folder"),
    ("demo_database", "../demo.db", "a file name without a folder"),
    ("demo_database", "/data/demo.db", "a file name without a folder"),
    ("demo_database", "demo.db-journal", "a file name without a folder"),
    ("demo_database", "d" * 201, "a file name without a folder"),
    ("demo_database", 5, "a file name without a folder"),
    ("demo_clients", [], "a list of names"),
    ("demo_clients", "Alice", "a list of names"),
    ("demo_clients", {"nome": "Alice"}, "a list of names"),
    ("demo_clients", 3, "a list of names"),
    ("demo_clients", ["Alice", ""], "at least one letter"),
    ("demo_clients", ["Alice", "   "], "at least one letter"),
    ("demo_clients", ["Alice", 7], "a list of texts"),
    ("demo_clients", ["Alice", None], "a list of texts"),
    ("demo_clients", [["Alice"]], "a list of texts"),
    ("demo_clients", ["Ali\nce"], "without control characters"),
    ("demo_clients", ["Ali\0ce"], "without control characters"),
    ("demo_clients", ["a" * 30001], "at most 30,000 characters"),
    ("demo_keep_volume", "perhaps", "must be true or false"),
    ("demo_keep_volume", "y", "must be true or false"),
    ("demo_clients_file", "/nowhere.csv", "/nowhere.csv does not exist"),
    ("demo_clients_file", "/", "a CSV file on this machine"),
    ("demo_clients_file", ["a.csv"], "a CSV file on this machine"),
    ("demo_backup_dir", "", "a folder on this machine"),
    ("demo_backup_dir", "/etc/hostname", "a folder on this machine"),
    ("demo_backup_dir", "/tmp/backups [1]", "without [ ] * ? and variables in its path"),
    ("demo_backup_dir", "/tmp/$HOME", "without [ ] * ? and variables in its path"),
    ("demo_backup_keep", "-1", "how many snapshots"),
    ("demo_backup_keep", "many", "how many snapshots"),
    ("demo_backup_keep", 1.5, "how many snapshots"),
    ("demo_backup_keep", True, "how many snapshots"),
    ("demo_backup_file", "/nowhere.gz", "a snapshot on this machine"),
    ("demo_restore_force", "maybe", "must be true or false"),
    ("demo_backup_before_teardown", "t", "must be true or false"),
    ("demo_migrate_from", ["one"], "the inventory name of a Docker host"),
    ("demo_migrate_to", 2, "the inventory name of a Docker host"),
    ("demo_migrate_remove_source", "sim", "must be true or false"),
    ("demo_report", "/", "a file to write"),
    ("demo_report", "/etc/hostname", "a report of this demo"),
    ("demo_report", "/etc/hostname/report.html", "a file to write"),
    ("demo_report", ["report.html"], "a file to write"),
    ("demo_volumen", "sqlite_data", "is not a setting of this demo"),
]


@pytest.fixture(scope="module")
def lines(host: Host, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The one line that each wrong setting gets, in one play of as many hosts, for it may change nothing for others."""
    names = {"demo_image": demo.image, "demo_volume": demo.volume}
    hosts = {f"host{number}": {**names, setting: value} for number, (setting, value, _) in enumerate(WRONG)}
    inventory = local_inventory(tmp_path_factory.mktemp("inventory"), hosts)
    program = demo.command("site.yml")[0]
    before = Engine(host).state()
    result = subprocess.run(
        [program, f"--inventory={inventory}", "site.yml"],
        cwd=REPOSITORY,
        env={**environment(), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert Engine(host).state() == before
    assert result.returncode != 0
    found = re.findall(r"^fatal: \[host(\d+)\]: FAILED! => (.*)$", result.stdout, re.MULTILINE)
    lines = {int(number): json.loads(words)["msg"] for number, words in found}
    assert len(found) == len(lines) == len(WRONG), result.stdout
    return [lines[number] for number in range(len(WRONG))]


@pytest.mark.parametrize("number", range(len(WRONG)), ids=[f"{s}={str(v)[:20]!a}" for s, v, _ in WRONG])
def test_wrong_setting_is_one_line(lines: list[str], number: int) -> None:
    setting, _, words = WRONG[number]
    assert setting in lines[number]
    assert words in lines[number]
    assert "\n" not in lines[number]


@pytest.mark.parametrize(("setting", "value", "words"), [("demo_volume", "x", "2 to 200 letters"), WRONG[-1]])
def test_wrong_setting_on_the_command_line_stops_the_play(engine: Engine, setting: str, value: Any, words: str) -> None:
    before = engine.state()
    result = demo.play("site.yml", **{setting: value})
    line = error(result)
    assert setting in line
    assert words in line
    assert result.stdout.count("\nPLAY [") == 1
    assert engine.state() == before


def test_each_setting_has_a_wrong_value() -> None:
    settings = yaml.safe_load((REPOSITORY / "inventory/group_vars/all.yml").read_text())
    assert {setting for setting, _, _ in WRONG} == {*settings, "demo_volumen"}


def test_list_that_one_container_cannot_take_stops_the_play(engine: Engine, tmp_path: Path) -> None:
    before = engine.state()
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"demo_clients": ["a" * 30000] * 9}))
    assert "250,000 together" in error(demo.play("site.yml", f"--extra-vars=@{settings}"))
    assert engine.state() == before


def test_right_settings_pass_the_same_checks(engine: Engine) -> None:
    """The negative control: what stops the others is their value."""
    before = engine.state()
    result = demo.play("site.yml", "--check", demo_clients=["Alice", "José", "مرحبا"], demo_keep_volume="yes")
    assert result.returncode == 0, result.stderr
    assert engine.state() == before
