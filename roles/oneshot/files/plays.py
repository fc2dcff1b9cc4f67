"""Say which plays run on this controller: what an ended one left is told by this from what a running one uses.

Prints one JSON object: ``own``: the mark of the play that runs this program; ``running``: those of all plays here. A
mark has a number of the machine and that of the process of ``ansible-playbook``: no other controller has it.
"""

import contextlib
import hashlib
import json
import os
import platform
import subprocess
import uuid
from pathlib import Path


def processes() -> dict[int, tuple[int, list[str]]]:
    """Return all processes by number: the number of the parent, and the words of the command line."""
    found = {}
    if os.path.exists("/proc/self/stat"):
        for path in Path("/proc").glob("[0-9]*"):
            # It may have ended by now.
            with contextlib.suppress(OSError):
                parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
                words = os.fsdecode((path / "cmdline").read_bytes()).split("\0")
                found[int(path.name)] = int(parent), words
    else:
        command = ["ps", "-ax", "-o", "pid=,ppid=,args="]
        for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
            number, parent, *words = line.split()
            found[int(number)] = int(parent), words
    return found


def marks() -> tuple[str, list[str]]:
    """Return the mark of the play that runs this program, and those of all plays."""
    there = processes()
    plays = {number for number, (_, words) in there.items() if "ansible-playbook" in map(os.path.basename, words)}
    own = number = os.getppid()
    while number in there:
        # The processes of its tasks have the same words, and end before it: the outermost counts.
        own = number if number in plays else own
        number = there[number][0]
    machine = hashlib.sha256(f"{platform.node()} {uuid.getnode()}".encode()).hexdigest()[:12]
    return f"{machine}-{own}", [f"{machine}-{number}" for number in sorted({own, *plays})]


if __name__ == "__main__":
    own, running = marks()
    print(json.dumps({"own": own, "running": running}))
