"""What the templates of the playbooks show: the engine's events as a timeline, data compared, text in columns."""

from __future__ import annotations

import json
from typing import Any

import pytest
from results import columns, compare, timeline

WRITER, READER, OTHER = "a" * 64, "b" * 64, "c" * 64
START = 1_700_000_000_000_000_000  # ns since the epoch


def event(ms: float, kind: str, name: str, action: str, **attributes: str) -> str:
    """Return a line of ``docker events --format='{{json .}}'``."""
    actor = {"ID": name, "Attributes": attributes}
    return json.dumps({"Type": kind, "Action": action, "Actor": actor, "timeNano": START + round(ms * 1e6)})


def run(ms: float, container: str, only: str, volume: str = "data") -> list[str]:
    """Return the events of one second of a container that runs for half of it."""
    return [
        event(ms, "volume", volume, "create", driver="local"),
        event(ms, "container", container, "create", image="demo"),
        event(ms + 100, "volume", volume, "mount", **{"container": container, "read/write": only}),
        event(ms + 200, "container", container, "start"),
        event(ms + 300, "container", container, "extract-to-dir"),
        event(ms + 700, "container", container, "die", exitCode="0"),
        event(ms + 800, "volume", volume, "unmount", container=container),
        event(ms + 1000, "container", container, "destroy"),
    ]


EVENTS = [*run(1000, WRITER, "true"), *run(4000, READER, "false")]


def host(events: list[str], *there: str, volume: str = "data", **variables: Any) -> dict[str, Any]:
    """Return the variables of a host that wrote and read, whose engine had these volumes before."""
    return {
        "demo_volume": volume,
        "__demo_engine": {"volumes": [{"Name": name} for name in there], "host_info": {}},
        "__demo_events": {"stdout_lines": events},
        "__demo_engine_after": {"containers": [{"Id": OTHER}]},
        "writer_result": {"container": WRITER, "sha256": "f0", "inserted": 3},
        "reader_result": {"container": READER, "sha256": "f0", "lines": []},
        **variables,
    }


def lane(variables: dict[str, Any], done: bool = True) -> dict[str, Any]:
    """Return what the report shows of one host."""
    lanes = timeline(["alfa"], {"alfa": variables}, ["alfa"] if done else [])["lanes"]
    assert list(lanes) == ["alfa"]
    return dict(lanes["alfa"])


def told(variables: dict[str, Any]) -> list[tuple[int, str, str, str, bool]]:
    """Return the rows of the table of events."""
    return [(e["ms"], e["part"], e["action"], e["detail"], e["read_only"]) for e in lane(variables)["events"]]


def test_events_are_told_in_order_from_the_first() -> None:
    expected = [
        (0, "volume", "create", "", False),
        (0, "writer", "create", "", False),
        (100, "volume", "mount", "writer", False),
        (200, "writer", "start", "", False),
        (700, "writer", "die", "0", False),
        (800, "volume", "unmount", "writer", False),
        (1000, "writer", "destroy", "", False),
        (3000, "reader", "create", "", False),
        (3100, "volume", "mount", "reader", True),
        (3200, "reader", "start", "", False),
        (3700, "reader", "die", "0", False),
        (3800, "volume", "unmount", "reader", False),
        (4000, "reader", "destroy", "", False),
    ]
    assert told(host(EVENTS)) == expected
    assert told(host(EVENTS[8:] + EVENTS[:8])) == expected


def test_volume_that_was_there_is_not_said_to_be_created() -> None:
    assert told(host(EVENTS, "other")) == told(host(EVENTS))
    actions = [(part, action) for _, part, action, *_ in told(host(EVENTS, "other", "data"))]
    assert ("volume", "create") not in actions
    assert len(actions) == 12


def test_what_others_do_is_not_told() -> None:
    theirs = [*run(0, OTHER, "true", "others"), *run(0, OTHER, "true")]
    assert told(host([*theirs, *EVENTS], "data")) == told(host(EVENTS, "data"))


def test_label_of_a_container_is_not_taken_for_a_fact_of_the_engine() -> None:
    labelled = {"container": WRITER, "read/write": "false"}
    assert told(host([event(0, "container", READER, "start", **labelled)])) == [(0, "reader", "start", "", False)]


def test_bars_are_in_per_cent_of_the_time_of_all_hosts() -> None:
    late = host(run(10000, READER, "false", "late"), "late", volume="late", writer_result={})
    shown = timeline(["alfa", "beta"], {"alfa": host(EVENTS), "beta": late}, ["alfa", "beta"])
    figures = ("y", "name", "x", "width", "label_x", "anchor", "ran_x", "ran_width")
    bars = {
        name: {bar["part"]: tuple(bar[figure] for figure in figures) for bar in lane["bars"]}
        for name, lane in shown["lanes"].items()
    }
    assert bars == {
        "alfa": {
            "volume": (0, "data", 0, 100, 0, "start", 0, 0),
            "writer": (40, WRITER[:12], 0, 10, 0, "start", 2, 5),
            "reader": (80, READER[:12], 30, 10, 30, "start", 32, 5),
        },
        "beta": {
            "volume": (0, "late", 0, 100, 0, "start", 0, 0),
            "reader": (80, READER[:12], 90, 10, 100, "end", 92, 5),
        },
    }
    assert shown["marks"] == {0: 0, 2: 20, 4: 40, 6: 60, 8: 80, 10: 100}


def test_bar_can_be_seen_however_short_and_ends_with_the_picture_if_not_before() -> None:
    short = [
        event(n / 10, "container", WRITER, action) for n, action in enumerate(["create", "start", "die", "destroy"])
    ]
    begun = [
        event(n * 500, "container", READER, action) for n, action in enumerate(["create", "start", "kill"], start=1)
    ]
    writer, reader = lane(host([*short, *begun]))["bars"]
    assert (writer["x"], writer["width"], writer["ran_width"]) == (0, 0.4, 0.4)
    assert (reader["x"], reader["width"], reader["ran_width"]) == (50, 50, 0)
    assert (reader["label_x"], reader["anchor"]) == (100, "end")


@pytest.mark.parametrize("events", [{}, {"rc": 2, "msg": "no such file: docker"}, {"stdout_lines": []}])
def test_without_events_there_are_no_times(events: dict[str, Any]) -> None:
    shown = timeline(["alfa"], {"alfa": host([], "data", __demo_events=events)}, ["alfa"])
    assert shown["marks"] == {}
    assert (shown["lanes"]["alfa"]["events"], shown["lanes"]["alfa"]["bars"]) == ([], [])


@pytest.mark.parametrize("seconds", [0, 1, 59, 3600, 1_000_000])
def test_marks_are_few(seconds: int) -> None:
    events = [event(ms, "container", WRITER, "start") for ms in (0, seconds * 1000)]
    marks = timeline(["alfa"], {"alfa": host(events)}, [])["marks"]
    assert 1 <= len(marks) <= 7
    assert all(0 <= place <= 100 for place in marks.values())


def test_records_are_the_lines_that_begin_with_a_number() -> None:
    lines = ["1: Lendo", "2: Clientes", "3: Ana: <b>", "10: ", "… e mais 5"]
    assert lane(host([], reader_result={"lines": lines}, writer_result={}))["records"] == [
        ["3", "Ana: <b>"],
        ["10", ""],
    ]


def test_container_that_is_still_there_is_not_said_to_be_gone() -> None:
    assert lane(host([]))["gone"]
    assert not lane(host([], __demo_engine_after={"containers": [{"Id": OTHER}, {"Id": WRITER}]}))["gone"]


def test_volume_that_was_there_before_does_not_begin_with_the_run() -> None:
    assert [bar["before"] for bar in lane(host(EVENTS))["bars"]] == [False, False, False]
    assert [bar["before"] for bar in lane(host(EVENTS, "data"))["bars"]] == [True, False, False]


def test_verdict_is_that_of_the_run() -> None:
    assert lane(host([]))["verdict"] == "same"
    known = {"container": WRITER, "sha256": "f0", "inserted": 0}
    assert lane(host([], writer_result=known))["verdict"] == "known"
    assert lane(host([], writer_result={}))["verdict"] == "alone"
    assert lane(host([]), done=False)["verdict"] == "failed"
    assert lane({"demo_volume": "data"}, done=False)["verdict"] == "failed"
    assert lane(host([], reader_result={}))["verdict"] == "failed"
    assert lane({"demo_volume": "data", "__demo_engine": {"unreachable": True}})["verdict"] == "unreachable"


@pytest.mark.parametrize(
    ("left", "found", "content"),
    [("f0", "f0", "same"), ("f0", "f1", "changed"), ("f0", "", "unknown"), ("", "f0", "unknown"), ("", "", "unknown")],
)
def test_hashes_are_the_same_only_if_both_are_known(left: str, found: str, content: str) -> None:
    assert compare({"sha256": left}, {"sha256": found}) == content


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert columns("host\tn\tresult\nJosé\t10\tok\nb\t-\tfailed, 3 written\n") == (
        "host  n   result\nJosé  10  ok\nb     -   failed, 3 written"
    )
