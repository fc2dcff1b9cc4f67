"""A filter that says which settings of the demo cannot be right, by the rules of playbooks/group_vars/all."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

REPORT_MARK = b"A report of sqlite-demo"


def is_text(value: Any, pattern: str = ".*") -> bool:
    """Tell whether this is a text, and a regular expression describes all of it."""
    return isinstance(value, str) and re.fullmatch(pattern, value, re.DOTALL) is not None


def is_short(names: Iterable[str]) -> bool:
    """Tell whether Linux takes these as arguments of a program: 128 kB is the limit of each."""
    lengths = list(map(len, names))
    return max(lengths) <= 30_000 and sum(lengths) <= 250_000


def is_file(value: Any) -> bool:
    """Tell whether this is no path, or that of a file."""
    return is_text(value) and (value == "" or os.path.isfile(os.path.expanduser(value)))


def may_be_folder(value: Any) -> bool:
    """Tell whether this is the path of a folder, or of nothing, in which Ansible sees no pattern."""
    path = os.path.expanduser(value) if is_text(value, r"(?=.*\S)[^][*?]+") else os.devnull
    return os.path.isdir(path) or not os.path.exists(path)


def may_be_report(value: Any) -> bool:
    """Tell whether this is no path, or that of a report, or of nothing: another file stays as it is."""
    if value == "" or not is_text(value, r".*\S.*"):
        return bool(value == "")
    path = os.path.realpath(os.path.expanduser(value))
    if os.path.isfile(path):
        with open(path, "rb") as file:
            return REPORT_MARK in file.readline(100) + file.readline(100)
    return not os.path.exists(path) and not os.path.isfile(os.path.dirname(path))


KINDS: dict[str, Callable[[Any], bool]] = {
    "boolean": lambda value: str(value).lower() in {"true", "false", "yes", "no", "on", "off", "1", "0"},
    "number": lambda value: is_text(str(value), "[0-9]+"),
    "list": lambda value: isinstance(value, list) and len(value) > 0,
    "short": is_short,
    "file": is_file,
    "folder": may_be_folder,
    "report": may_be_report,
}


def wrong(settings: Mapping[str, Any], rules: Iterable[Mapping[str, str]]) -> list[str]:
    """Return a line for each setting that does not exist, and for each rule that is broken.

    Args:
        settings: the value of each.
        rules: ``setting``, what it ``must_be`` in words, and one of ``pattern``: a regular expression that describes a
            text; ``each``: one for all elements of a list; ``kind``: a key of KINDS. Of those of one setting only the
            first that is broken is told.
    """
    known = {rule["setting"] for rule in rules}
    lines = {each: f"{each} is not a setting of this demo: see inventory/group_vars/all.yml" for each in settings}
    lines = {each: line for each, line in lines.items() if each not in known}
    for rule in rules:
        setting, value = rule["setting"], settings[rule["setting"]]
        if setting in lines:
            continue
        if "kind" in rule:
            right = KINDS[rule["kind"]](value)
        elif "each" in rule:
            right = all(is_text(element, rule["each"]) for element in value)
        else:
            right = is_text(value, rule["pattern"])
        if not right:
            lines[setting] = f"{setting} must be {rule['must_be']}"
    return list(lines.values())


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"wrong": wrong}
