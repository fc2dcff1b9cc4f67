"""The rules of settings that need a file of the controller, or none at all; the scenario settings tries the others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import settings
import yaml
from settings import REPORT_MARK, fault, may_be_folder, may_be_report

REPOSITORY = Path(__file__).parents[1]
TABLE = yaml.safe_load((REPOSITORY / "playbooks/group_vars/all/settings.yml").read_text())["__demo_rules"]


def test_each_setting_has_a_rule() -> None:
    documented = yaml.safe_load((REPOSITORY / "inventory/group_vars/all.yml").read_text())
    assert {rule["setting"] for rule in TABLE} == {*documented}


def test_setting_without_a_value_is_told() -> None:
    assert fault({}, TABLE).startswith("demo_docker_host must be the address of a Docker Engine")


def test_kinds_of_the_table_are_known() -> None:
    assert {rule["kind"] for rule in TABLE if "kind" in rule} == {*settings.KINDS}


@pytest.mark.parametrize("second", [True, False])
def test_report_is_known_by_its_second_line(tmp_path: Path, second: bool) -> None:
    report = tmp_path / "report.html"
    assert may_be_report(str(report))
    report.write_bytes(b"<!doctype html>\n" + (b"" if second else b"<p>\n" * 40) + REPORT_MARK)
    assert may_be_report(str(report)) is second
    template = (REPOSITORY / "playbooks/templates/report.html.j2").read_bytes()
    assert REPORT_MARK in template.splitlines()[1]


def test_pipe_is_no_report_and_no_file_and_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert not may_be_report(str(pipe))
    assert not settings.KINDS["file"](str(pipe))
    assert not may_be_folder(str(pipe))


def test_tags_that_molecule_leaves_out_are_no_mistake() -> None:
    assert "belongs to no setting" in fault({}, TABLE, rest="2026.csv")
    assert fault({}, TABLE, ["all", "notest", "gravar"], ["write"]).startswith("gravar is no tag")
    assert fault({}, TABLE, ["all", "notest", "molecule-idempotence-notest", "write"], ["write"]).startswith(
        "demo_docker_host must"
    )
