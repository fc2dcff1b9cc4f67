"""What each verification of this scenario starts from: an engine of its own, the demo on it, the table of figures."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from shared.demo import Demo, works
from shared.engine import Engine
from shared.killed_writers import Figures
from shared.private_engine import PrivateEngine
from shared.system import wait_for
from testinfra.host import Host

FIGURES = pytest.StashKey[Figures]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the number of rounds be given."""
    parser.addoption("--rounds", type=int, default=20, help="how often a writer is killed; the rest goes with it")


def pytest_configure(config: pytest.Config) -> None:
    """Start with an empty table."""
    config.stash[FIGURES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table of figures, as the documentation quotes it."""
    terminalreporter.section("figures")
    for row in [("what was tried", "how often", "what was found"), ("---", "---", "---"), *config.stash[FIGURES]]:
        terminalreporter.line(f"| {' | '.join(row)} |")


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    """The table of figures: what was tried, how often, what was found."""
    return pytestconfig.stash[FIGURES]


@pytest.fixture(scope="session")
def rounds(pytestconfig: pytest.Config) -> int:
    """How often a writer is killed."""
    count: int = pytestconfig.getoption("--rounds")
    return count


@pytest.fixture(scope="session")
def private() -> Iterator[PrivateEngine]:
    """The engine that all programs of this scenario talk to."""
    bridge = Path("/sys/class/net/docker0").exists()
    private = PrivateEngine()
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = private.address
    yield private
    private.close()
    del os.environ["DOCKER_HOST"]
    if before is not None:
        os.environ["DOCKER_HOST"] = before
    assert Path("/sys/class/net/docker0").exists() == bridge, "the user's engine has its bridge still"


@pytest.fixture(scope="session")
def demo(private: PrivateEngine) -> Demo:
    """The demo, on that engine."""
    private.tell("start")
    wait_for((private.folder / "docker.sock").exists)
    demo = Demo("crash")
    works(demo.play("site.yml"))
    return demo


@pytest.fixture
def engine(host: Host, demo: Demo) -> Engine:  # noqa: ARG001 - the engine is of use only with the demo on it
    """That engine, seen by its own client."""
    return Engine(host)


@pytest.fixture
def folder(private: PrivateEngine) -> Path:
    """A folder for the files of a test, that is gone with the engine."""
    return Path(tempfile.mkdtemp(dir=private.scratch))
