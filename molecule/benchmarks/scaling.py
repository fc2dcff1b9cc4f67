"""Measure what site.yml costs on more and more Docker hosts, and print it as a table.

In the folder molecule: python -m benchmarks.scaling [HOSTS ...]  how many hosts each run has; 1 2 4 8 16 32 by default
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import linear_regression

from shared.demo import REPOSITORY, environment
from shared.machines import Fleet

RUNS = 2
FORKS = (5, 40)


@dataclass(frozen=True)
class Cost:
    """What one run took: seconds of wall time and of the controller's CPU time, bytes of its memory at the peak."""

    wall: float
    processor: float
    memory: int


class Memory(threading.Thread):
    """Watches how much memory a process and all its descendants have together."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.process = process
        self.peak = 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.2):
            self.peak = max(self.peak, self.now())

    def now(self) -> int:
        """Return the bytes that the processes have, what several share counted once."""
        parents = {}
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                # The name before it may have spaces.
                parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        total = 0
        for number in parents:
            ancestor = number
            while ancestor not in (self.process, 0):
                ancestor = parents.get(ancestor, 0)
            with contextlib.suppress(OSError):
                if ancestor == self.process:
                    lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
                    total += 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total


def processor(inventory: Path) -> float:
    """Return the seconds of CPU time so far: of what this process started, and of the SSH connections kept open."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # Such a process outlives what started it, and calls itself by the path of its socket.
            if f"{inventory.parents[1]}/cp" in (process / "cmdline").read_text():
                ticks += sum(map(int, (process / "stat").read_text().rpartition(")")[2].split()[11:13]))
    return children.ru_utime + children.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def measure(inventory: Path, *options: str) -> Cost:
    """Run site.yml over all hosts of an inventory."""
    program = Path(sys.executable).with_name("ansible-playbook")
    before, start = processor(inventory), time.monotonic()
    process = subprocess.Popen(
        [str(program), f"--inventory={inventory}", *options, "site.yml"],
        cwd=REPOSITORY,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    memory = Memory(process.pid)
    memory.start()
    output, _ = process.communicate()
    memory.ended.set()
    memory.join()
    if process.returncode != 0:
        sys.exit(output)
    wall = time.monotonic() - start
    return Cost(wall, processor(inventory) - before, memory.peak)


def inventory(fleet: Fleet, count: int) -> Path:
    """Write an inventory of so many hosts: the fleet's own ones under several names, each with a volume of its own."""
    hosts = {
        f"{name}-{number}": variables
        | {
            "demo_image": f"molecule-growth-{number}",
            "demo_volume": f"growth_{number}",
            # Otherwise hosts of one address would share a connection.
            "ansible_control_path_dir": f"{fleet.folder}/cp/{number}",
        }
        for number, (name, variables) in enumerate(islice(cycle(fleet.group["hosts"].items()), count))
    }
    return fleet.write(f"growth-{count}", fleet.group | {"hosts": hosts})


def best(inventory: Path, *options: str) -> Cost:
    """Return the cost of the quickest of some runs: what it takes when nothing else is going on."""
    return min((measure(inventory, *options) for _ in range(RUNS)), key=lambda cost: cost.wall)


def main(counts: Sequence[int]) -> None:
    """Print what each number of hosts costs, what one host more adds, and what more or fewer forks do to the most."""
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        fleet = Fleet(Path(folder))
        try:
            costs = {}
            print("| hosts | first run | wall time | controller CPU | peak memory |")
            print("| ---: | ---: | ---: | ---: | ---: |")
            for count in counts:
                hosts = inventory(fleet, count)
                first = measure(hosts)
                cost = costs[count] = best(hosts)
                print(
                    f"| {count} | {first.wall:.1f} s | {cost.wall:.1f} s | {cost.processor:.1f} s | "
                    f"{cost.memory / 1e6:.0f} MB |",
                    flush=True,
                )
            print()
            for what, unit in (("wall", "s"), ("processor", "s"), ("memory", "MB")):
                values = [getattr(cost, what) / (1e6 if unit == "MB" else 1) for cost in costs.values()]
                line = linear_regression(list(costs), values)
                print(f"{what}: {line.intercept:.2f} {unit} + {line.slope:.2f} {unit} a host")
            print(f"\n| forks, {count} hosts | wall time | controller CPU | peak memory |")
            print("| ---: | ---: | ---: | ---: |")
            for forks in FORKS:
                cost = measure(hosts, f"--forks={forks}")
                print(
                    f"| {forks} | {cost.wall:.1f} s | {cost.processor:.1f} s | {cost.memory / 1e6:.0f} MB |", flush=True
                )
        finally:
            fleet.close()


if __name__ == "__main__":
    main([int(count) for count in sys.argv[1:]] or [1, 2, 4, 8, 16, 32])
