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
    assert all(main.get(name, option) == option for options in others for name, option in options.items())


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


def messages(tasks: Any) -> list[str]:
    """Return what the tasks of a file say, without the expressions in it."""
    if isinstance(tasks, list):
        return [message for task in tasks for message in messages(task)]
    if not isinstance(tasks, dict):
        return []
    own = [
        re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", str(value), flags=re.DOTALL)
        for key, value in tasks.items()
        if key == "msg"
    ]
    return own + [message for value in tasks.values() for message in messages(value)]


@each_role
def test_messages_name_arguments_of_the_role(role: Path) -> None:
    said = [message for file in role.glob("tasks/*.yml") for message in messages(yaml.safe_load(file.read_text()))]
    named = {word for message in said for word in re.findall(r"(?<!\w)[a-z]+(?:_[a-z]+)+(?!\w)", message)}
    assert named <= entry_points(role)["main"].keys()


@each_role
def test_a_role_knows_no_setting_or_playbook_of_the_project_and_builds_no_list_in_a_loop(role: Path) -> None:
    for file in (path for path in role.rglob("*.*") if path.suffix != ".pyc"):
        text = file.read_text()
        if file.name == "README.md":
            text = re.sub(r"\]\([^)]*\)", "]", text)
        assert re.findall(r".*(?:demo_|site\.yml|\.append\().*", text) == [], file


def test_the_hardening_of_containers_is_written_once() -> None:
    files = [file for file in REPOSITORY.glob("roles/**/*.yml") if "cap_drop" in file.read_text()]
    assert [file.relative_to(REPOSITORY).parts[1] for file in files] == ["oneshot"]
