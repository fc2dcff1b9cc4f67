"""Docker hosts that are reached by SSH: each with accounts, an SSH server and a Docker Engine of its own."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import yaml

from shared.demo import REPOSITORY, temporaries
from shared.packages import unpack
from shared.private_engine import LAYERS, PrivateEngine
from shared.system import free_port, wait_for

# Who logs in, as the example says: by the number of whoever runs the tests, but not as root.
USER, UID = "deploy", os.getuid() or 20001
# The inventory names of the two engines of one machine.
FIRST, SECOND = "gama", "gama-2"

SSHD_CONFIG = """
ListenAddress 127.0.0.1:{port}
HostKey {key}
AuthorizedKeysFile /etc/ssh/authorized_keys
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp
"""


def make_key(path: Path) -> str:
    """Make a pair of SSH keys, and return the public one."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path.with_suffix(".pub").read_text()


def prepare_overlay(overlay: Path, key: str, *packages: str) -> None:
    """Lay ready what makes a machine: an SSH server, packages, and a user who may use the engine.

    Args:
        overlay: the folder to lay it into.
        key: the public key that lets that user in, and root.
        packages: what is installed beside the SSH server.
    """
    unpack(overlay, "openssh-server", *packages)
    # As the package's installation would: each module that Ansible runs would compile it anew.
    subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", overlay / "usr/lib/python3"], check=True)
    for layer in LAYERS:
        (overlay / layer).mkdir(parents=True, exist_ok=True)
    accounts = [f"sshd:*:{UID - 1}:65534::/run/sshd:/usr/sbin/nologin", f"{USER}:*:{UID}:{UID}::/home/{USER}:/bin/sh"]
    groups = Path("/etc/group").read_text().splitlines()
    docker = next(line for line in groups if line.startswith("docker:"))
    groups[groups.index(docker)] = f"{docker}{'' if docker.endswith(':') else ','}{USER}"
    (overlay / "etc/passwd").write_text("\n".join([Path("/etc/passwd").read_text().strip(), *accounts, ""]))
    (overlay / "etc/group").write_text("\n".join([*groups, f"{USER}:x:{UID}:", ""]))
    (overlay / "etc/ssh/authorized_keys").write_text(key)
    (overlay / "home" / USER).mkdir()
    os.chown(overlay / "home" / USER, UID, -1)


def find_temporaries() -> set[Path]:
    """Return the temporary files of roles on this machine, with which all others share /tmp."""
    find = ["find", "/tmp", "-maxdepth", "1", "-name", "ansible.*", "-user", str(UID)]  # noqa: S108
    theirs = subprocess.run(find, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return temporaries() | {Path(line) for line in theirs.splitlines()}


class DockerHost(PrivateEngine):
    """A machine with an SSH server and an engine.

    Attributes:
        port: where its SSH server listens, on the loopback address.
        key: its public host key.
    """

    def __init__(self, overlay: Path, size: str = "") -> None:
        super().__init__(size, overlay)
        self.port = free_port()
        private = self.scratch / "host_key"
        self.key = make_key(private)
        (self.scratch / "sshd_config").write_text(SSHD_CONFIG.format(port=self.port, key=private))
        self.boot()

    def boot(self) -> None:
        """Start the engine and the SSH server, as a machine does that is switched on."""
        self.tell("start")
        self.tell("listen")
        wait_for(self.answers)

    def crash(self) -> None:
        """Kill all that runs there, as a power cut would."""
        self.tell("kill all")

    def answers(self) -> bool:
        """Tell whether the engine and the SSH server can be reached."""
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0 and (self.folder / "docker.sock").exists()


class Fleet:
    """The hosts of the example inventory, made real; gone when it is closed.

    Attributes:
        folder: what there is on the controller.
        found: the temporary files of roles that were there before.
        machines: the machines, by inventory name.
        second: the second engine of the last of them.
        engines: the addresses of all engines on this side, by inventory name.
        group: what the inventory says.
        inventory: the file that says it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found = find_temporaries()
        example = yaml.safe_load((REPOSITORY / "inventory/fleet.example.yml").read_text())
        self.group: dict[str, Any] = example["docker_hosts"]
        self.known_hosts = folder / "known_hosts"
        options = self.group["vars"]["ansible_ssh_common_args"]
        self.group["vars"] |= {
            "ansible_ssh_private_key_file": str(folder / "key"),
            "ansible_ssh_common_args": f"{options} -o UserKnownHostsFile={self.known_hosts}",
            # What is left of a connection is gone with the host, instead of a minute later.
            "ansible_control_path_dir": str(folder / "cp"),
        }
        (folder / "inventory").mkdir()
        (folder / "inventory/group_vars").symlink_to(REPOSITORY / "inventory/group_vars")
        prepare_overlay(folder / "overlay", make_key(folder / "key"), "python3-requests")
        self.second = PrivateEngine()
        self.second.tell("start")
        self.machines = {name: DockerHost(folder / "overlay") for name in self.group["hosts"] if name != SECOND}
        self.engines = {name: one.address for name, one in self.machines.items()} | {SECOND: self.second.address}
        for name, machine in self.machines.items():
            self.group["hosts"][name] |= self.reach(machine)
        self.group["hosts"][SECOND] |= self.reach(self.machines[FIRST]) | {"demo_docker_host": self.second.address}
        self.inventory = self.write("fleet", self.group)

    def reach(self, machine: DockerHost) -> dict[str, Any]:
        """Make the key of a machine known, and return the variables by which SSH finds it."""
        with self.known_hosts.open("a") as known:
            known.write(f"[127.0.0.1]:{machine.port} {machine.key}")
        return {"ansible_host": "127.0.0.1", "ansible_port": machine.port}

    def write(self, name: str, group: dict[str, Any]) -> Path:
        """Write an inventory, and return its path."""
        path = self.folder / f"inventory/{name}.yml"
        path.write_text(yaml.safe_dump({"docker_hosts": group}, sort_keys=False))
        return path

    def with_hosts(self, name: str, **machines: DockerHost) -> Path:
        """Write an inventory of other machines."""
        return self.write(name, self.group | {"hosts": {one: self.reach(each) for one, each in machines.items()}})

    def leftovers(self) -> set[Path]:
        """Return the temporary files that roles have left behind since the hosts are there."""
        return find_temporaries() - self.found

    def close(self) -> None:
        """Leave nothing behind."""
        for engine in (self.second, *self.machines.values()):
            engine.close()
