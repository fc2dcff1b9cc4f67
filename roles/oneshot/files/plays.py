"""Say which plays run on this controller: what an ended one left is told by this from what a running one uses.

Prints one JSON object: ``own``: the mark of the play that runs this program; ``running``: those of all processes here.
A mark has a number of the machine and that of a process, which lives as long as the play.
"""

import contextlib
import hashlib
import json
import os
import platform
import re
import subprocess
import uuid
from pathlib import Path

PROGRAM = re.compile(".*/ansible[a-z-]*", re.DOTALL)  # by its path, as the system starts it


def is_ansible(words: list[str]) -> bool:
    """Tell whether a command line is that of Ansible; other programs have the word among their arguments."""
    return words[1:3] == ["-m", "ansible"] or any(map(PROGRAM.fullmatch, words[:2]))


def processes() -> dict[int, tuple[int, list[str]]]:
    """Return all processes by number: the number of the parent, and the words of the command line."""
    found = {}
    if os.path.exists("/proc/self/stat"):
        for path in Path("/proc").glob("[0-9]*"):
            # It may have ended by now.
            with contextlib.suppress(OSError):
                parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
                found[int(path.name)] = int(parent), os.fsdecode((path / "cmdline").read_bytes()).split("\0")
    else:
        command = ["ps", "-ax", "-o", "pid=,ppid=,args="]
        for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
            number, parent, *words = line.split()
            found[int(number)] = int(parent), words
    return found


def marks() -> tuple[str, list[str]]:
    """Return the mark of the play that runs this program, and those of all processes."""
    there = processes()
    line = [os.getppid()]
    while (parent := there.get(line[-1], (0, []))[0]) > 1:
        line += [parent]
    # The processes of its tasks have its command line too, and end before it: the outermost is the play. One that
    # another program plays is taken to last as long as the outermost of all.
    plays = [each for each in line if is_ansible(there.get(each, (0, []))[1])]
    own = (plays or line)[-1]
    # Containers that share the name of a machine have numbers of processes of their own.
    space = os.readlink("/proc/self/ns/pid") if os.path.exists("/proc/self/ns/pid") else ""
    address = uuid.getnode()
    known = "" if address >> 40 & 1 else address  # by that bit Python marks one that it has made up
    machine = hashlib.sha256(f"{platform.node()} {known} {space}".encode()).hexdigest()[:12]
    return f"{machine}-{own}", [f"{machine}-{number}" for number in sorted({own, *there})]


if __name__ == "__main__":
    own, running = marks()
    print(json.dumps({"own": own, "running": running}))
