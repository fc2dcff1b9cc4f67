"""The program of the roles backup and restore, run by the engine's client as the roles run it."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from shared.demo import REPOSITORY, Demo

# Options of a container in which many programs run one after the other: what one has compiled the next need not.
KEEP_BYTECODE = ["--tmpfs=/tmp", "--env=PYTHONPYCACHEPREFIX=/tmp"]
PROGRAM = (REPOSITORY / "roles/backup/files/snapshot.py").read_text()


def snapshot_program(demo: Demo, *arguments: str, options: tuple[str, ...] = ()) -> list[str]:
    """Return the engine's command that runs the program as the roles do."""
    hardening = ["--network=none", "--read-only", "--cap-drop=ALL", "--memory=128m"]
    start = ["docker", "run", "--rm", "--init", *hardening, *options, "--entrypoint=python3", demo.image]
    return [*start, "-c", PROGRAM, *arguments]


def repeat(command: list[str], times: int) -> list[str]:
    """Return what runs ``snapshot_program`` so many times in one container, NUMBER in its arguments from 1 on."""
    cut = command.index("--entrypoint=python3")
    program = " ".join(shlex.quote(word) for word in ["python3", *command[cut + 2 :]]).replace("NUMBER", "$number")
    loop = f"for number in $(seq {times}); do {program} || exit; done"
    return [*command[:cut], *KEEP_BYTECODE, "--entrypoint=sh", command[cut + 1], "-c", loop]


def mount_snapshot(snapshot: Path, folder: Path) -> str:
    """Copy a snapshot to where the container of a restore finds it; return the engine's option that mounts it there."""
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in").chmod(0o777)
    shutil.copy(snapshot, folder / "in/snapshot.gz")
    (folder / "in/snapshot.gz").chmod(0o644)
    return f"--volume={folder}/in:/snapshot"
