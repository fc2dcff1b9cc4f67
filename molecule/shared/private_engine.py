"""A Docker Engine of the tests' own: apart from the user's, made to be killed, gone with the test that started it.

It runs in process, mount and network namespaces of its own; on the host's network, it would remove the bridge of the
user's engine. The first process of these namespaces is this program, which obeys the lines on its standard input. When
that is closed, by whatever end of the test, the program kills all that runs there and removes its folder; with its own
end the kernel removes the mounts.

Given files to lay over the system's, the namespaces are as good as a machine: with accounts, programs and an SSH server
of its own, which listens on the host's network.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

# Where containerd makes sockets and sshd wants a folder, whatever their configurations say.
RUN = Path("/run")
SOCKET = "unix:///var/run/docker.sock"
# What a machine has of its own: programs, accounts, homes, and the packages that are installed.
LAYERS = ("etc", "home", "usr", "var/cache/apt", "var/lib/apt", "var/lib/dpkg")


class PrivateEngine:
    """An engine that lives until it is closed, or the process that made it ends in any way.

    Attributes:
        folder: all that it has on disk is in here.
        scratch: a folder in there for the files of a test.
        address: where it listens once it is started, as DOCKER_HOST has it.

    Args:
        size: how much its data may take, as a tmpfs has it (``100m``); as much as the disk has, if empty.
        overlay: a folder whose content is laid over LAYERS of the root; nothing is, if empty.
        tmp: whether it has a /tmp of its own, as an engine that is a snap has.
        init: whether it finds docker-init, which ``docker run --init`` needs.
        options: what its daemon.json says; that of this machine holds if nothing is given.

    Raises:
        RuntimeError: the namespaces cannot be made: that needs root, or sudo without a password.
    """

    def __init__(
        self,
        size: str = "",
        overlay: Path | str = "",
        *,
        tmp: bool = False,
        init: bool = True,
        options: Mapping[str, object] | None = None,
    ) -> None:
        configuration = {**(options or {}), **({} if init else {"init-path": "/nonexistent"})}
        settings = {"size": size, "overlay": str(overlay), "tmp": tmp, "configuration": configuration}
        sudo = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        # In a session of its own, an interrupt from the keyboard ends the test and not what cleans up after it.
        self.process = subprocess.Popen(
            [*sudo, *namespaces, sys.executable, "-I", __file__, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        folder = self.answer()
        if not folder:
            raise RuntimeError("an engine of the tests' own needs root, or sudo without a password")
        self.folder = Path(folder)
        self.scratch = self.folder / "scratch"
        self.address = f"unix://{self.folder}/docker.sock"

    def answer(self) -> str:
        """Return the next line; an empty one if the program has ended."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def tell(self, command: str) -> None:
        """Have one of COMMANDS done."""
        assert self.process.stdin
        print(command, file=self.process.stdin, flush=True)
        assert self.answer() == command

    def close(self) -> None:
        """Leave nothing behind."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=60)


def start(folder: Path) -> None:
    """Start the engine, and go on before it answers."""
    options = {
        "host": f"unix://{folder}/docker.sock",
        "data-root": folder / "data",
        "exec-root": folder / "exec",
        "pidfile": folder / "docker.pid",
        "bridge": "none",
        "iptables": "false",
        # By a path of its own, what it leaves behind in there can be found.
        "exec-opt": "native.cgroupdriver=cgroupfs",
        "cgroup-parent": f"/{folder.name}",
    }
    if (folder / "daemon.json").exists():
        options["config-file"] = folder / "daemon.json"
    # The second address is the one that whoever is in these namespaces takes for granted.
    command = ["unshare", "--net", "dockerd", *(f"--{name}={value}" for name, value in options.items())]
    with (folder / "dockerd.log").open("a") as log:
        subprocess.Popen(
            [*command, f"--host={SOCKET}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def listen(folder: Path) -> None:
    """Let users in by SSH, as the test has configured it."""
    configuration = folder / "scratch/sshd_config"
    subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", configuration, "-E", folder / "sshd.log"], stdin=subprocess.DEVNULL)


def engine_processes() -> list[int]:
    """Return the numbers of the engine and its containerd."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found += [int(process.name)] * ((process / "comm").read_text().strip() in ("dockerd", "containerd"))
    return found


def serve(folder: Path) -> None:
    """Run the command that the test has put into ``scratch/serve.json`` where the engine alone can reach it."""
    inside = ["nsenter", f"--net=/proc/{engine_processes()[0]}/ns/net"]
    subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
    command = json.loads((folder / "scratch/serve.json").read_text())
    with (folder / "scratch/serve.log").open("w") as log:
        subprocess.Popen([*inside, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def kill(_folder: Path) -> None:
    """Kill the engine and its containerd, as a crash of theirs would; the containers run on."""
    for process in engine_processes():
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)


def kill_all(_folder: Path) -> None:
    """Kill every process: the engine, its containerd, its containers."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)


def deny(folder: Path) -> None:
    """Let nobody connect."""
    (folder / "docker.sock").chmod(0)


COMMANDS = {"start": start, "listen": listen, "serve": serve, "kill": kill, "kill all": kill_all, "deny": deny}


def reap(*_: object) -> None:
    """Take note of the processes that have ended, as the first of a namespace must."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def clean(folder: Path) -> None:
    """Leave nothing behind."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    kill_all(folder)
    with contextlib.suppress(ChildProcessError):
        while os.wait():
            pass
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        mount = line.split()[1]
        if mount.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", mount], check=True)
    shutil.rmtree(folder)
    for hierarchy in ("", "*/"):
        for top in Path("/sys/fs/cgroup").glob(f"{hierarchy}{folder.name}"):
            for path, _, _ in os.walk(top, topdown=False):
                os.rmdir(path)


def mount(kind: str, options: str, target: Path) -> None:
    """Mount a file system that these namespaces alone see."""
    subprocess.run(["mount", "-t", kind, "-o", options, kind, target], check=True)


def main(size: str, overlay: str, *, tmp: bool, configuration: Mapping[str, object]) -> None:
    """Make the folder and print its path; then do as each line says, and print the line when it is done."""
    if os.getpid() != 1:
        sys.exit("this program kills all processes that it sees: only PrivateEngine may start it")
    folder = Path(tempfile.mkdtemp(prefix="molecule-engine-", dir="/var/tmp"))
    try:
        folder.chmod(0o711)
        for name, mode in (("data", 0o711), ("scratch", 0o1777)):
            (folder / name).mkdir()
            (folder / name).chmod(mode)
        mount("tmpfs", "mode=755", RUN)
        (RUN / "sshd").mkdir()
        if size:
            mount("tmpfs", f"size={size}", folder / "data")
        for name in LAYERS if overlay else ():
            lower, upper, work = Path(overlay, name), folder / "upper" / name, folder / "work" / name
            upper.mkdir(parents=True)
            work.mkdir(parents=True)
            mount("overlay", f"lowerdir={lower}:/{name},upperdir={upper},workdir={work}", Path("/", name))
        if tmp:  # last, for the overlay may be in there
            mount("tmpfs", "mode=1777", Path("/tmp"))  # noqa: S108
        if configuration:
            (folder / "daemon.json").write_text(json.dumps(configuration))
        signal.signal(signal.SIGCHLD, reap)
        print(folder, flush=True)
        for line in sys.stdin:
            command = line.strip()
            COMMANDS[command](folder)
            print(command, flush=True)
    finally:
        clean(folder)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
