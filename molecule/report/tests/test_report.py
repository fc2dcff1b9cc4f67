"""The page renders, says what the engine says, shows records as text, and asks nobody for anything."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect
from shared.browser import launch_browser
from shared.demo import REPOSITORY, Demo, environment, error, local_inventory, works
from shared.engine import Engine
from shared.private_engine import PrivateEngine
from testinfra.host import Host

# What must be seen as it is, and must not act.
HOSTILE = ["<script>alert(1)</script>", '<img src="http://127.0.0.1:9/x">', "\u202eabc", "José & Cia."]


@dataclass(frozen=True)
class Report:
    """A report, and what the engine says of the time that it tells of.

    Attributes:
        path: the page.
        demos: the demo of each host, by inventory name.
        events: all container and volume events of that time, oldest first, as the engine gives them.
    """

    path: Path
    demos: dict[str, Demo]
    events: list[dict[str, Any]]


@pytest.fixture(scope="module")
def engine(host: Host, private: PrivateEngine) -> Engine:
    """That engine, seen by its own client."""
    return Engine(host, private.address)


@pytest.fixture(scope="module")
def report(engine: Engine, private: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of a first run on two hosts, one of which has records that no page should take for its own."""
    folder = tmp_path_factory.mktemp("report")
    hosts: dict[str, dict[str, object]] = {"alfa": {}, "beta": {"demo_clients": HOSTILE}}
    demos = {name: Demo(f"report_{name}", {"demo_docker_host": private.address}) for name in hosts}
    each = Demo(
        "report_{{ inventory_hostname }}",
        {"demo_docker_host": private.address},
        (f"--inventory={local_inventory(folder, hosts)}",),
    )
    path = folder / "new/report.html"
    since = engine.output("info", "--format={{.SystemTime}}")
    works(each.play("site.yml", demo_report=str(path)))
    until = engine.output("info", "--format={{.SystemTime}}")
    kinds = ("--filter=type=container", "--filter=type=volume")
    lines = engine.output("events", f"--since={since}", f"--until={until}", *kinds, "--format={{json .}}")
    return Report(path, demos, [json.loads(line) for line in lines.splitlines()])


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's own browser."""
    with launch_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page of the browser."""
    page = browser.new_page()
    yield page
    page.close()


WORDS = {"create": "created", "start": "started", "die": "ended with status 0", "destroy": "removed"}
SUM = "import hashlib; print(hashlib.sha256(open('/data/demo.db', 'rb').read()).hexdigest())"


def read(page: Page, path: Path) -> None:
    """Open the page and choose English."""
    page.goto(path.as_uri())
    page.get_by_label("English").check()


def cells(page: Page, host: str, caption: str) -> list[list[str]]:
    """Return the rows of one table of a host, as a reader sees them."""
    table = (
        page.locator("section").filter(has=page.get_by_role("heading", name=host)).get_by_role("table", name=caption)
    )
    expect(table).to_have_count(1)
    return [row.locator("th:visible, td:visible").all_inner_texts() for row in table.get_by_role("row").all()]


def happened(report: Report, demo: Demo) -> list[list[str]]:
    """Return what the engine says of a demo's volume and containers, as the rows of the page have it."""
    parts = {demo.writer: "writer", demo.reader: "reader"}
    containers = {
        event["Actor"]["ID"]: parts[event["Actor"]["Attributes"]["name"]]
        for event in report.events
        if event["Actor"]["Attributes"].get("name") in parts
    }
    volumes = {demo.volume for demo in report.demos.values()}
    first = min(event["timeNano"] for event in report.events if event["Actor"]["ID"] in volumes)
    rows: list[list[str]] = []
    for event in report.events:
        actor, action, words = event["Actor"], event["Action"], ""
        if actor["ID"] in containers:
            words = f"{containers[actor['ID']]} {WORDS[action]}"
        elif actor["ID"] == demo.volume and action in ("mount", "unmount"):
            only = ", read-only" if actor["Attributes"].get("read/write") == "false" else ""
            words = f"volume {action}ed by {containers[actor['Attributes']['container']]}{only}"
        elif actor["ID"] == demo.volume and not rows:
            words = "volume created"
        rows += [[str(round((event["timeNano"] - first) / 1e6)), words]] if words else []
    return rows


@pytest.mark.parametrize("name", ["alfa", "beta"])
def test_figures_are_those_of_the_engine(page: Page, report: Report, engine: Engine, name: str) -> None:
    demo = report.demos[name]
    read(page, report.path)
    facts = dict(cells(page, name, "Identities, content and versions"))
    volume = engine.inspect("volume", demo.volume)
    assert facts["Volume"] == f"{demo.volume}, created {volume['CreatedAt']}, {volume['Mountpoint']}"
    digest = engine.python(demo.image, demo.volume, SUM)
    assert facts["SHA-256 that the writer left"] == facts["SHA-256 that the reader found"] == digest
    info = "{{.ServerVersion}}, {{.OperatingSystem}}, {{.Architecture}}"
    assert facts["Docker Engine"] == engine.output("info", f"--format={info}")
    tags = engine.inspect("image", f"{demo.image}:latest")["RepoTags"]
    assert facts["Image"] in tags
    assert facts["Base image"].startswith(f"{engine.base(demo.image)}, ")
    versions = "import platform, sqlite3; print(platform.python_version() + ', ' + sqlite3.sqlite_version)"
    assert facts["Python, SQLite"] == engine.python(demo.image, demo.volume, versions)

    ours = {
        event["Actor"]["ID"]
        for event in report.events
        if event["Actor"]["Attributes"].get("image", "").startswith(demo.image)
    }
    shown = {facts[f"{part} container"].split(":")[0] for part in ("Writer", "Reader")}
    assert shown == ours
    assert [engine.inspect("container", container) for container in shown] == [{}, {}]

    _, *rows = cells(page, name, "Records, as the reader printed them")
    assert rows == [[str(number), nome] for number, nome in engine.rows(demo.image, demo.volume)]


@pytest.mark.parametrize("name", ["alfa", "beta"])
def test_timeline_is_the_engines(page: Page, report: Report, name: str) -> None:
    read(page, report.path)
    _, *rows = cells(page, name, "What happened, by the clock of Docker Engine")
    assert rows == happened(report, report.demos[name])
    assert len(rows) == 13


def test_bars_are_where_the_table_says(page: Page, report: Report) -> None:
    read(page, report.path)
    lanes = page.locator("svg g").all()
    assert [lane.locator(".host").text_content() for lane in lanes] == ["alfa", "beta"]
    for lane, name in zip(lanes, report.demos, strict=True):
        times: dict[str, int] = {}
        for milliseconds, what in cells(page, name, "What happened, by the clock of Docker Engine")[1:]:
            times.setdefault(what, int(milliseconds))
        volume = lane.locator("rect.volume").bounding_box()
        writer, reader = (bar.bounding_box() for bar in lane.locator("rect.there").all())
        runs = [bar.bounding_box() for bar in lane.locator("rect.ran").all()]
        assert volume
        assert writer
        assert reader
        frame = page.locator("svg").bounding_box()
        assert frame
        last = max(
            time for name in report.demos for time in (int(row[0]) for row in cells(page, name, "What happened")[1:])
        )
        scale = frame["width"] / last
        for box, begin, end in (
            (volume, times["volume created"], last),
            (writer, times["writer created"], times["writer removed"]),
            (reader, times["reader created"], times["reader removed"]),
            (runs[0], times["writer started"], times["writer ended with status 0"]),
            (runs[1], times["reader started"], times["reader ended with status 0"]),
        ):
            assert box
            assert abs(box["x"] - frame["x"] - begin * scale) < 2
            assert abs(box["width"] - max((end - begin) * scale, 0.004 * frame["width"])) < 3
        assert writer["x"] + writer["width"] < reader["x"], "one is gone before the other comes"


def test_records_are_text_and_nothing_is_asked_or_said(page: Page, report: Report) -> None:
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda problem: said.append(str(problem)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    read(page, report.path)
    page.emulate_media(media="print")
    page.wait_for_load_state("networkidle")
    assert page.locator("bdi").all_inner_texts()[-len(HOSTILE) :] == HOSTILE
    assert page.locator("script, img").count() == 0
    assert said == []
    assert asked == [report.path.as_uri()]


def test_each_language_is_whole_and_alone(page: Page, report: Report) -> None:
    page.goto(report.path.as_uri())
    for chosen, language, other in (("Português", "pt-BR", "en"), ("English", "en", "pt-BR")):
        page.get_by_label(chosen).check()
        ours, theirs = (page.locator(f":is(h1, main, footer) [lang={each}]") for each in (language, other))
        assert ours.count() == theirs.count() > 30
        assert all(each.is_visible() for each in ours.all())
        assert not any(each.is_visible() for each in theirs.all())
        assert all(each.inner_text().strip() for each in ours.all() if each.evaluate("node => node.tagName") == "SPAN")


def test_screen_reader_hears_what_the_picture_shows(page: Page, report: Report) -> None:
    page.goto(report.path.as_uri())
    expect(page.get_by_role("img", name=re.compile("^O que existiu e quando.*volume"))).to_have_count(1)
    expect(page.get_by_role("heading", level=1, name="Os dados sobrevivem aos contêineres")).to_have_count(1)
    expect(page.get_by_role("group", name="Idioma · Language").get_by_role("radio")).to_have_count(2)
    expect(page.get_by_role("row", name=re.compile("writer criado"))).to_have_count(2)


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_wider_than_the_screen(browser: Browser, report: Report, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 640})
    read(page, report.path)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for text in page.locator("svg text").all():
        box = text.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert float(text.evaluate("node => parseFloat(getComputedStyle(node).fontSize)")) >= 12
    page.close()


CONTRAST = """
() => {
  const light = text => {
    const channels = text.match(/[0-9.]+/g).map(c => c / 255)
    const [r, g, b] = channels.map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    return .2126 * r + .7152 * g + .0722 * b + .05
  }
  const paper = light(getComputedStyle(document.body).backgroundColor)
  return [...document.querySelectorAll("h1, p, td, th, caption, figcaption, svg text")].map(node => {
    const style = getComputedStyle(node)
    const ink = light(node.closest("svg") ? style.fill : style.color)
    return Math.max(ink, paper) / Math.min(ink, paper)
  })
}
"""


def test_light_dark_and_paper_can_be_read(page: Page, report: Report) -> None:
    papers = {}
    seen: list[tuple[Literal["light", "dark"], Literal["screen", "print"]]]
    seen = [("light", "screen"), ("dark", "screen"), ("dark", "print")]
    for scheme, medium in seen:
        page.emulate_media(color_scheme=scheme, media=medium)
        page.goto(report.path.as_uri())
        papers[scheme, medium] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        contrasts = page.evaluate(CONTRAST)
        # The least contrast of text that https://www.w3.org/TR/WCAG22/#contrast-minimum asks for.
        assert min(contrasts) >= 4.5, (scheme, medium)
    assert papers["light", "screen"] == papers["dark", "print"] == "rgb(255, 255, 255)"
    assert papers["dark", "screen"] != papers["light", "screen"]
    expect(page.get_by_role("radio")).to_have_count(0)
    assert page.pdf().startswith(b"%PDF-")


def test_reader_alone_and_no_client_of_docker_are_told(page: Page, report: Report, tmp_path: Path) -> None:
    demo = report.demos["alfa"]
    path = tmp_path / "report.html"
    command = demo.command("site.yml", "--tags=read", demo_report=str(path))
    (tmp_path / "bin").mkdir()
    for program in Path("/usr/bin").iterdir():
        if program.name != "docker":
            (tmp_path / "bin" / program.name).symlink_to(program)
    path_alone = environment() | {"PATH": str(tmp_path / "bin")}
    works(subprocess.run(command, cwd=REPOSITORY, env=path_alone, check=False, capture_output=True, text=True))
    read(page, path)
    expect(page.get_by_text("This time only the reader ran")).to_be_visible()
    expect(page.get_by_text("There are no times")).to_be_visible()
    assert page.locator("svg").count() == 0
    assert [row[1] for row in cells(page, "The proof", "Records")[1:]] == ["Alice", "Bruno", "Carla"]


def test_only_a_report_is_written_over(report: Report, tmp_path: Path) -> None:
    demo = report.demos["alfa"]
    theirs = tmp_path / "thesis.html"
    theirs.write_text("<!doctype html>\n<p>mine</p>\n")
    assert "is a report of this demo" in error(demo.play("site.yml", "--tags=read", demo_report=str(theirs)))
    assert theirs.read_text() == "<!doctype html>\n<p>mine</p>\n"
    before = report.path.stat().st_mtime_ns
    works(demo.play("site.yml", "--tags=read", "--check", "--diff", demo_report=str(report.path)))
    assert report.path.stat().st_mtime_ns == before
    assert report.path.stat().st_mode & 0o777 == 0o600
