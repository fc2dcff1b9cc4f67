"""Filters for the templates of the playbooks: what the report shows, whether data are the same, text in columns."""

import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

Data = Mapping[str, Any]
WITHOUT_DETAIL = {"create": "", "start": "", "destroy": ""}


def read_events(lines: Iterable[str], parts: Mapping[str, str], found: bool) -> list[dict[str, Any]]:
    """Return what became of the parts, oldest first, at which time in ns since the epoch.

    Args:
        lines: what ``docker events`` printed, a JSON object each.
        parts: volume, writer or reader, by the volume's name or the container's id.
        found: whether the volume was there before.
    """
    events = []
    for event in sorted(map(json.loads, lines), key=lambda event: event["timeNano"]):
        part, action, about = parts.get(event["Actor"]["ID"]), event["Action"], event["Actor"]["Attributes"]
        user = parts.get(about.get("container"))
        # What to say beside an action; of others, and of other users of the volume, nothing is told.
        details = {**WITHOUT_DETAIL, "die": about.get("exitCode", ""), "mount": user, "unmount": user}
        # The engine says "create" each time that a container asks for a volume, whether or not it is there.
        again = found and (part, action) == ("volume", "create")
        if part and details.get(action) is not None and not again:
            found = found or part == "volume"
            read_only = action == "mount" and about.get("read/write") != "true"
            told = {"part": part, "action": action, "detail": details[action], "read_only": read_only}
            events.append({"ns": event["timeNano"], **told})
    return events


def draw(events: Iterable[Data], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return, in per cent of the width, when each part was there, and within that when its program ran."""
    at = {(event["part"], event["action"]): event["at"] for event in events}
    bars = []
    for y, (part, name) in zip((0, 40, 80), names.items(), strict=True):
        if at.keys() & {(part, "create"), (part, "mount")}:
            start, end = at.get((part, "create"), 0), at.get((part, "destroy"), 100)
            ran, ended = at.get((part, "start"), 0), at.get((part, "die"), 0)
            ran_width = round(max(ended - ran, 0.4), 2) if ended > ran else 0
            label_x, anchor = (start, "start") if start < 50 else (end, "end")
            label = {"name": name if part == "volume" else name[:12], "label_x": label_x, "anchor": anchor}
            label["before"] = part == "volume" and (part, "create") not in at
            bar = {"y": y, "part": part, "x": start, "width": round(max(end - start, 0.4), 2)}
            bars.append({**bar, **label, "ran_x": ran, "ran_width": ran_width})
    return bars


def compare(writer: Data, reader: Data) -> str:
    """Return whether the reader found the file that the writer, if there was one, left."""
    if not writer or not (writer["sha256"] and reader["sha256"]):
        return "unknown" if writer else "alone"
    return "same" if writer["sha256"] == reader["sha256"] else "changed"


def look(host: Data, done: bool) -> dict[str, Any]:
    """Return what the variables of a host say of its run, which got to the end or did not."""
    engine, writer, reader = (host.get(name, {}) for name in ("__demo_engine", "writer_result", "reader_result"))
    volume = host["demo_volume"]
    names = {"volume": volume, "writer": writer.get("container", ""), "reader": reader.get("container", "")}
    found = any(each["Name"] == volume for each in engine.get("volumes", []))
    left = {container["Id"] for container in host.get("__demo_engine_after", {}).get("containers", [])}
    lines = host.get("__demo_events", {}).get("stdout_lines", [])
    verdict = compare(writer, reader) if reader and done else "failed"
    if verdict == "same" and not writer["inserted"]:
        verdict = "known"
    return {
        "writer": writer,
        "reader": reader,
        "names": names,
        "verdict": "unreachable" if engine.get("unreachable") else verdict,
        "gone": left.isdisjoint(names.values()),
        "events": read_events(lines, {name: part for part, name in names.items()}, found),
        "records": [line.split(": ", 1) for line in reader.get("lines", [])[2:] if re.match(r"\d+: ", line)],
    }


def timeline(names: Iterable[str], hosts: Mapping[str, Data], done: Collection[str]) -> dict[str, Any]:
    """Return what the report shows, from the variables of hosts and the names of those that got to the end."""
    lanes = {name: look(hosts[name], name in done) for name in names}
    events = [event for lane in lanes.values() for event in lane["events"]]
    start = min((event["ns"] for event in events), default=0)
    span = max([1, *(event["ns"] - start for event in events)])
    for event in events:
        event |= {"ms": round((event["ns"] - start) / 1e6), "at": round((event["ns"] - start) / span * 100, 2)}
    for lane in lanes.values():
        lane["bars"] = draw(lane["events"], lane["names"])
    seconds = range(0, span // 10**9 + 1, math.ceil(span / 6e9)) if events else ()
    return {"lanes": lanes, "marks": {second: round(second * 1e11 / span, 2) for second in seconds}}


def columns(text: str) -> str:
    """Align the cells of lines, which tabs separate, two spaces apart."""
    rows = [line.split("\t") for line in text.splitlines()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"columns": columns, "compare": compare, "timeline": timeline}
