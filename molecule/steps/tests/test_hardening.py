"""What a container of each kind may do, seen from outside while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shared.demo import Demo, works
from shared.engine import Engine
from shared.snapshots import snapshots_in
from shared.system import wait_for
from testinfra.host import Host

# What can be written, whether the engine can be reached, and which networks there are.
PROBE = """
touch /x /tmp/x /data/x /scratch/x
ls -d /x /tmp/x /data/x /scratch/x /var/run/docker.sock
ls /sys/class/net
rm -f /data/x
"""
# Interfaces that lead nowhere: some kernels make them in each network namespace.
INERT = {"lo", "tunl0", "sit0", "ip6tnl0"}


demo = Demo("steps")


@pytest.fixture
def lock(engine: Engine) -> Iterator[str]:
    """What makes a container live long enough to be looked at; by its path, for a restore refuses a volume in use."""
    yield from engine.lock(demo.image, engine.inspect("volume", demo.volume)["Mountpoint"])


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of the three records."""
    folder = tmp_path_factory.mktemp("backups")
    works(demo.play("playbooks/backup.yml", demo_backup_dir=str(folder)))
    (snapshot,) = snapshots_in(folder)
    return snapshot


@pytest.mark.parametrize(
    ("role", "playbook", "written"),
    [
        ("writer", ["site.yml", "--tags=write"], {"/data/x"}),
        ("reader", ["site.yml", "--tags=read"], set()),
        ("backup", ["playbooks/backup.yml"], {"/scratch/x"}),
        ("restore", ["playbooks/restore.yml"], {"/scratch/x"}),
    ],
)
def test_container_may_do_nothing_but_its_work(
    engine: Engine,
    host: Host,
    snapshot: Path,
    lock: str,
    role: str,
    playbook: list[str],
    written: set[str],
) -> None:
    name = f"{demo.image}-{role}"
    play = demo.start(*playbook, demo_backup_file=str(snapshot), demo_backup_dir=str(snapshot.parents[1]))
    wait_for(lambda: engine.inspect("container", name).get("State", {}).get("Running"))
    container = engine.inspect("container", name)
    status = host.file(f"/proc/{container['State']['Pid']}/status").content_string
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    found = set(engine.docker("exec", name, "sh", "-c", PROBE).stdout.split())
    engine.output("rm", "--force", lock)
    output, _ = play.communicate(timeout=60)
    assert play.returncode == 0, output

    assert fields["Uid"].split() == ["10001"] * 4
    assert fields["Gid"].split() == ["10001"] * 4
    assert {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1"
    assert "lo" in found, "the probe ran"
    assert found - INERT == written
    limits = container["HostConfig"]
    # A proof has a large value and its entry in an index in memory at once.
    megabytes = 512 if "/scratch/x" in written else 128
    assert limits["Memory"] == limits["MemorySwap"] == megabytes * 1024 * 1024
    assert limits["PidsLimit"] == 32
    assert limits["Privileged"] is False
    assert [
        (mount["Name"], mount["Destination"], mount["RW"]) for mount in container["Mounts"] if mount["Type"] == "volume"
    ] == [(demo.volume, "/data", "/data/x" in written)]
