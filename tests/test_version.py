"""The version is one, wherever it is said."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[1]


def test_newest_version_of_the_changelog_is_that_of_the_project() -> None:
    project = yaml.safe_load((REPOSITORY / "playbooks/group_vars/all/project.yml").read_text())
    headings = re.findall(r"^## (?!Unreleased$)(.+)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert re.fullmatch(rf"{re.escape(project['__demo_version'])} - \d{{4}}-\d\d-\d\d", headings[0])


def test_collection_has_the_version_of_the_project() -> None:
    project = yaml.safe_load((REPOSITORY / "playbooks/group_vars/all/project.yml").read_text())
    assert yaml.safe_load((REPOSITORY / "galaxy.yml").read_text())["version"] == project["__demo_version"]
