"""Programs of Debian, unpacked with all that they need and this machine has not, but not installed on it."""

from __future__ import annotations

import subprocess
from pathlib import Path


def unpack(root: Path, *packages: str) -> None:
    """Unpack packages, and what they depend on, into the folder ``root``."""
    archives = root.with_name(f"{root.name}-archives")
    (archives / "partial").mkdir(parents=True)
    options = ["--option=Debug::NoLocking=true", f"--option=Dir::Cache::archives={archives}"]
    download = ["apt-get", "install", "--download-only", "--yes", "--reinstall", "--no-install-recommends", *options]
    if subprocess.run([*download, *packages], check=False, capture_output=True).returncode != 0:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run([*download, *packages], check=True, capture_output=True)
    for archive in archives.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", str(archive), str(root)], check=True)
