"""What a role says of itself: its argument specs, its defaults and its README agree."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[1]
ROLES = sorted(specs.parents[1] for specs in REPOSITORY.glob("roles/*/meta/argument_specs.yml"))

each_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def entry_points(role: Path) -> dict[str, dict[str, Any]]:
    """Return the options of each entry point."""
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
    return {name: entry_point["options"] for name, entry_point in specs.items()}


def test_readmes_have_the_arguments_of_the_specs() -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "docs/roles.yml", "--check", "--diff"],
        check=False,
        capture_output=True,
        cwd=REPOSITORY,
        encoding="utf-8",
    )
    assert "changed=0 " in result.stdout, result.stdout + result.stderr
    assert result.returncode == 0


@each_role
def test_an_argument_is_the_same_at_every_entry_point(role: Path) -> None:
    main, *others = entry_points(role).values()
    assert all(options.items() <= main.items() for options in others)


@each_role
def test_an_argument_is_required_or_has_a_default(role: Path) -> None:
    options = entry_points(role)["main"]
    assert {name: "default" not in option for name, option in options.items()} == {
        name: option.get("required", False) for name, option in options.items()
    }


@each_role
def test_defaults_are_those_of_the_specs(role: Path) -> None:
    main = entry_points(role)["main"]
    file = role / "defaults/main.yml"
    defaults = yaml.safe_load(file.read_text()) if file.exists() else {}
    assert defaults == {name: option["default"] for name, option in main.items() if "default" in option}


@each_role
def test_readme_says_what_is_handed_back_and_gives_one_right_example(role: Path) -> None:
    readme = (role / "README.md").read_text()
    assert readme.count("\n**Hands back:** ") == 1
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    (call,) = [task for task in yaml.safe_load(example) if "ansible.builtin.include_role" in task]
    assert call["ansible.builtin.include_role"] == {"name": role.name}
    arguments, options = call.get("vars", {}).keys(), entry_points(role)["main"]
    assert {name for name, option in options.items() if option.get("required")} <= arguments <= options.keys()
