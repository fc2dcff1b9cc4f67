"""What tests need of the machine that they run on."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path


def free_port() -> int:
    """Return a port of the loopback address on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def kill_tree(process: int) -> None:
    """Kill a process and all that descend from it, the last ones first to be looked for."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    os.kill(process, signal.SIGKILL)
    for child in children:
        with contextlib.suppress(OSError):
            kill_tree(int(child))


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until ``condition`` holds, 2 minutes at most: machines may be slow.

    Raises:
        TimeoutError: it never held.
    """
    end = time.monotonic() + 120
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)
