"""A filter that says which settings of the demo cannot be right, by the rules of playbooks/group_vars/all."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

# Source of the names of images: https://pkg.go.dev/github.com/distribution/reference
PART = r"[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*"
HOST = r"(localhost|[A-Za-z0-9-]+([.][A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:))(:[0-9]+)?"
IMAGE = rf"(?![0-9a-f]{{64}}\Z)({HOST}/)?{PART}(/{PART})*"
MOLECULE = "notest"  # how the tags end that Molecule leaves out, whether or not there are such
REPORT_MARK = b"A report of sqlite-demo"


def is_text(value: Any, pattern: str = ".*") -> bool:
    """Tell whether this is a text that a regular expression describes from end to end."""
    return isinstance(value, str) and re.fullmatch(pattern, value, re.DOTALL) is not None


def is_short(names: list[str]) -> bool:
    """Tell whether Linux takes these names as arguments of a program; 128 kB is its limit for each."""
    return all(len(name) <= 30_000 for name in names) and sum(map(len, names)) <= 250_000


def path_of(value: str) -> str:
    """Return the path that Ansible takes a text for."""
    return os.path.realpath(os.path.expandvars(os.path.expanduser(value)))


def may_be_folder(value: Any) -> bool:
    """Tell whether this is the path of a folder, or of nothing, in which Ansible sees neither pattern nor variable."""
    plain = is_text(value, r"(?=.*\S)[^][*?]+") and os.path.expandvars(value) == value
    path = path_of(value) if plain else os.devnull
    return os.path.isdir(path) or not os.path.exists(path)


def may_be_report(value: Any) -> bool:
    """Tell whether this is the path of a report, or of nothing: another file stays as it is."""
    path = path_of(value) if is_text(value, r".*\S.*") else os.devnull
    if os.path.isfile(path):
        with open(path, "rb") as file:
            return REPORT_MARK in file.readline(100) + file.readline(100)
    return not os.path.exists(path) and not os.path.isfile(os.path.dirname(path))


KINDS: dict[str, Callable[[Any], bool]] = {
    "boolean": lambda value: str(value).lower() in {"true", "false", "yes", "no", "on", "off", "1", "0"},
    "number": lambda value: is_text(str(value), "[0-9]+"),
    "list": lambda value: isinstance(value, list) and len(value) > 0,
    "short": is_short,
    "file": lambda value: value == "" or (is_text(value) and os.path.isfile(path_of(value))),
    "folder": may_be_folder,
    "image": lambda value: is_text(value, IMAGE) and len(value) <= 200,
    "image with a tag": lambda value: is_text(value, IMAGE + r"(:\w[\w.-]{0,127}|@sha256:[0-9a-f]{64})"),
    "report": lambda value: value == "" or may_be_report(value),
}


def fault(
    settings: Mapping[str, Any],
    rules: Iterable[Mapping[str, str]],
    asked: Sequence[str] = (),
    tags: Sequence[str] = (),
    rest: str = "",
) -> str:
    """Return the first thing that is wrong with what a user typed; nothing if all can be right.

    Args:
        settings: the value of each.
        rules: ``setting``, what it ``must_be`` in words, and one of ``pattern``: a regular expression that describes a
            text; ``each``: one for all elements of a list; ``kind``: a key of KINDS.
        asked: the tags that were given.
        tags: those that the playbook has.
        rest: what Ansible could not make out in ``--extra-vars``.
    """
    if rest:
        advice = (
            "a value with a space needs quotes inside the quotes, such as -e 'demo_clients_file=\"Lista 2026.csv\"'"
        )
        return f"{rest} belongs to no setting: {advice}"
    for tag in (each for each in asked if each not in ("all", *tags) and not each.endswith(MOLECULE)):
        return f"{tag} is no tag of this playbook, which has {', '.join(tags) or 'none'}"
    for name in sorted({*settings} - {rule["setting"] for rule in rules}):
        return f"{name} is not a setting of this demo: see inventory/group_vars/all.yml"
    for rule in rules:
        value = settings.get(rule["setting"])
        if "kind" in rule:
            right = KINDS[rule["kind"]](value)
        elif "each" in rule:
            right = isinstance(value, list) and all(is_text(element, rule["each"]) for element in value)
        else:
            right = is_text(value, rule["pattern"])
        if not right:
            missing = rule.get("kind") == "file" and is_text(value) and not os.path.exists(path_of(str(value)))
            return f"{rule['setting']} must be {rule['must_be']}" + f"; {value} does not exist" * missing
    return ""


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"fault": fault}
