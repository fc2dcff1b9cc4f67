"""A writer that is killed at a random moment, and what the next ones find."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from shared.demo import Demo
from shared.engine import Engine
from shared.volumes import fill

# Rows of a batch, in turn. The large one does not fit into SQLite's cache: its pages go to the file before the commit.
BATCH_SIZES = (1, 15_000, 40, 300)

# The writer itself, again and again: the last of the four lines that it prints acknowledges a batch. Names out of order
# keep all the index busy.
LOOP = f"""
import itertools, sys, writer
for batch in itertools.count():
    numbers = range({BATCH_SIZES}[batch % {len(BATCH_SIZES)}])
    names = [f"{{sys.argv[1]}}/{{batch}}/{{number * 7919 % 100_003:0200}}" for number in numbers]
    writer.run("/data/demo.db", lambda: enumerate(names, start=1), "nome", result=True)
"""

# Whether a journal is there, and whether it must be rolled back: SQLite fills in its first bytes, and syncs them,
# before it changes a page of the database.
JOURNAL = """
import json, os
path = "/data/demo.db-journal"
there = os.path.exists(path)
print(json.dumps([there, there and open(path, "rb").read(1) not in (b"", b"\\0")]))
"""

COUNT_ROWS = """
import collections, json, sqlite3
connection = sqlite3.connect("file:/data/demo.db?mode=ro", uri=True)
intact = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
names = (nome for (nome,) in connection.execute("SELECT nome FROM clientes"))
print(json.dumps([intact, collections.Counter(nome.rpartition("/")[0] for nome in names)]))
"""


# The table of figures: what was tried, how often, what was found.
Figures = list[tuple[str, str, str]]


@dataclass
class Tally:
    """What was found in all rounds, and what a sound database must hold now.

    Attributes:
        rounds: writers that were killed.
        acknowledged: rows of the batches that the writers acknowledged.
        hit: rounds that left a journal: the kill hit a transaction.
        hot: those of them that left one to roll back: pages of the database may have been changed already.
        lost: acknowledged rows that are not there.
        torn: rows of a batch that is there in part, or that nobody wrote.
        damaged: rounds after which SQLite's integrity check found something.
        wrong: rounds in which the reader or the writer did not end or print as it should.
    """

    rounds: int = 0
    acknowledged: int = 0
    hit: int = 0
    hot: int = 0
    lost: int = 0
    torn: int = 0
    damaged: int = 0
    wrong: int = 0
    expected: Counter[str] = field(default_factory=lambda: Counter({"": 3}))

    def judge(self, name: str, acknowledgements: list[str], intact: bool, found: Counter[str]) -> None:
        """Compare what was found with what was acknowledged."""
        written = [json.loads(line)["inseridos"] for line in acknowledgements]
        self.rounds += 1
        self.acknowledged += sum(written)
        self.expected.update({f"{name}/{batch}": rows for batch, rows in enumerate(written)})
        # A batch may have been committed and not acknowledged any more; several, if a writer outlived its engine.
        batch = len(written)
        while found.get(f"{name}/{batch}") == BATCH_SIZES[batch % len(BATCH_SIZES)]:
            self.expected[f"{name}/{batch}"] = found[f"{name}/{batch}"]
            batch += 1
        self.lost += (self.expected - found).total()
        self.torn += (found - self.expected).total()
        self.damaged += not intact

    def assert_sound(self) -> None:
        """Assert that nothing was lost, torn, damaged or wrong."""
        assert (self.lost, self.torn, self.damaged, self.wrong) == (0, 0, 0, 0), self


def container(demo: Demo, *options: str, entrypoint: str = "") -> list[str]:
    """Return the engine's command for a container of the demo's image, with the rights that the roles give it."""
    rights = ["--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=128m"]
    start = [f"--entrypoint={entrypoint}"] if entrypoint else []
    return ["docker", "run", "--rm", "--init", *rights, *options, *start, demo.image]


def run(demo: Demo, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the writer or the reader on the demo's volume."""
    mount = f"--volume={demo.volume}:/data{':ro' if command == 'reader' else ''}"
    return subprocess.run(
        [*container(demo, mount), command, *arguments], check=False, capture_output=True, text=True, timeout=600
    )


def start_loop(demo: Demo, name: str) -> subprocess.Popen[str]:
    """Start a writer that goes on until it is killed, in a container of that name."""
    options = [f"--name={demo.image}-{name}", f"--volume={demo.volume}:/data", "--workdir=/app"]
    command = [*container(demo, *options, entrypoint="python"), "-u", "-S", "-c", LOOP, name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def kill_writer(demo: Demo, name: str, moment: float, kill: Callable[[], object]) -> list[str]:
    """Have a writer killed so many seconds after its first acknowledgement; return all of those."""
    with start_loop(demo, name) as writer:
        assert writer.stdout
        lines = list(itertools.islice(writer.stdout, 4))
        time.sleep(moment)
        kill()
        lines += writer.stdout
    # Cut off in the middle it acknowledges nothing.
    return [line for line in lines if line.startswith("{") and line.endswith("\n")]


def read(demo: Demo, tally: Tally, *, hot: bool) -> Counter[str] | None:
    """Read as a user would, by way of the recovery if it takes one; return how many rows of each batch were printed."""
    result = run(demo, "reader", "--json")
    if hot:
        tally.wrong += result.returncode != 5 or not result.stderr.startswith("ERRO [RECUPERAR]: ")
        writer = run(demo, "writer", "Alice")
        tally.wrong += writer.stdout.splitlines()[1:] != ["Clientes inseridos: 0", "Clientes já existentes: 1"]
        result = run(demo, "reader", "--json")
    if result.returncode != 0:
        return None
    return Counter(json.loads(line)["nome"].rpartition("/")[0] for line in result.stdout.splitlines())


def kill_writers(engine: Engine, demo: Demo, rounds: int, seed: int = 0) -> Tally:
    """Kill so many writers, each at a random moment; read what they left, and have another container read it too.

    There are more rounds, up to ten times as many, until one leaves a hot journal: without any they prove nothing.
    """
    moments = random.Random(seed)  # noqa: S311 - it is to be repeatable
    observer = f"{demo.image}-observer"
    mount = f"--volume={demo.volume}:/data:ro"
    fill(engine, demo, '["Alice", "Bruno", "Carla"]')
    engine.output("run", "--detach", "--init", f"--name={observer}", mount, engine.base(demo.image), "sleep", "inf")
    tally = Tally()
    try:
        while tally.rounds < rounds or (tally.hot == 0 and tally.rounds < 10 * rounds):
            name = f"{tally.rounds}"
            kill = partial(engine.output, "kill", f"{demo.image}-{name}")
            acknowledgements = kill_writer(demo, name, moments.uniform(0, 0.3), kill)
            hit, hot = json.loads(engine.output("exec", observer, "python3", "-c", JOURNAL))
            tally.hit += hit
            tally.hot += hot
            printed = read(demo, tally, hot=hot)
            intact, found = json.loads(engine.output("exec", observer, "python3", "-c", COUNT_ROWS))
            tally.wrong += printed != Counter(found)
            tally.judge(name, acknowledgements, intact, Counter(found))
            if tally.expected.total() > 20_000:
                fill(engine, demo, '["Alice", "Bruno", "Carla"]')
                tally.expected = Counter({"": 3})
    finally:
        engine.output("rm", "--force", observer)
    return tally
