"""The version is one, wherever it is said."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[1]


def test_newest_version_of_the_changelog_is_that_of_the_collection() -> None:
    collection = yaml.safe_load((REPOSITORY / "galaxy.yml").read_text())
    headings = re.findall(r"^## (?!Unreleased$)(.+)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert re.fullmatch(rf"{re.escape(collection['version'])} - \d{{4}}-\d\d-\d\d", headings[0])
