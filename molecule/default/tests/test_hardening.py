"""What a writer and a reader may do, seen from outside while they run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from outside import Demo, Engine, wait_for
from testinfra.host import Host


@pytest.fixture
def lock(engine: Engine, rebuilt: Demo) -> Iterator[str]:
    """What makes a writer or a reader live long enough to be looked at."""
    yield from engine.lock(rebuilt.image, rebuilt.volume)


@pytest.mark.parametrize("role", ["writer", "reader"])
def test_container_may_do_nothing_but_its_work(engine: Engine, host: Host, rebuilt: Demo, lock: str, role: str) -> None:
    name = getattr(rebuilt, role)
    play = rebuilt.start("site.yml", "--tags=write" if role == "writer" else "--tags=read")
    wait_for(lambda: engine.inspect("container", name).get("State", {}).get("Running"))
    container = engine.inspect("container", name)
    status = host.file(f"/proc/{container['State']['Pid']}/status").content_string
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    touched = {path: engine.docker("exec", name, "touch", path).rc for path in ("/x", "/tmp/x", "/data/x")}
    sockets = engine.docker("exec", name, "ls", "/var/run/docker.sock").rc
    interfaces = engine.output("exec", name, "ls", "/sys/class/net").split()
    engine.docker("exec", name, "rm", "-f", "/data/x")
    engine.output("rm", "--force", lock)
    output, _ = play.communicate(timeout=60)
    assert play.returncode == 0, output

    assert fields["Uid"].split() == ["10001"] * 4
    assert fields["Gid"].split() == ["10001"] * 4
    assert {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1"
    assert touched["/x"] != 0
    assert touched["/tmp/x"] != 0
    assert (touched["/data/x"] == 0) == (role == "writer")
    assert sockets != 0
    assert set(interfaces) <= {"lo", "tunl0", "sit0", "ip6tnl0"}
    limits = container["HostConfig"]
    assert limits["Memory"] == limits["MemorySwap"] == 128 * 1024 * 1024
    assert limits["PidsLimit"] == 32
    assert limits["Privileged"] is False
    assert [(mount["Name"], mount["Destination"], mount["RW"]) for mount in container["Mounts"]] == [
        (rebuilt.volume, "/data", role == "writer")
    ]
