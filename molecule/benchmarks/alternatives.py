"""The demo's three steps by Ansible, by plain Docker and by Docker Compose: each on its own copy, image and volume."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from shared.demo import REPOSITORY, Demo, environment
from shared.packages import unpack

LABEL = "sqlite-demo.benchmark"
HARDENING = ("--init", "--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
NAMES = ("Alice", "Bruno", "Carla")

# What is done in each round, and what it costs to do it anew.
STEPS = {
    "cold": "build, write and read; no image and no volume yet",
    "warm": "the same again: nothing to do but write and read",
    "changed": "the same after a change of a source",
    "write": "the writer alone",
    "read": "the reader alone",
    "teardown": "remove image and volume",
}

Commands = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Contestant:
    """One way to do it.

    Attributes:
        name: what the table calls it.
        copy: its copy of the repository.
        whole: the commands that build, write and read; ``write``, ``read``, ``teardown``: those that do only that.
        variables: what it needs in its environment.
    """

    name: str
    copy: Path
    whole: Commands
    write: Commands
    read: Commands
    teardown: Commands
    variables: Mapping[str, str] = field(default_factory=dict)

    def seconds(self, commands: Commands) -> float:
        """Run commands that must work, one after the other, and return how long they took."""
        start = time.perf_counter()
        for command in commands:
            result = subprocess.run(
                command,
                cwd=self.copy,
                env={**environment(), **self.variables},
                check=False,
                capture_output=True,
                text=True,
            )
            if result.returncode != 0:
                sys.exit(f"{' '.join(command)}\n{result.stdout}{result.stderr}")
        return time.perf_counter() - start

    def round(self, number: int) -> Iterator[tuple[str, float]]:
        """Do all steps, from nothing to nothing, and yield how long each took."""
        yield "cold", self.seconds(self.whole)
        yield "warm", self.seconds(self.whole)
        with (self.copy / "files/app/reader.py").open("a", encoding="utf-8") as source:
            source.write(f"# {number}\n")
        yield "changed", self.seconds(self.whole)
        yield "write", self.seconds(self.write)
        yield "read", self.seconds(self.read)
        yield "teardown", self.seconds(self.teardown)
        # The image before the change has lost its name.
        self.seconds([["docker", "image", "prune", "--force", f"--filter=label={LABEL}"]])


def contestants(folder: Path, base: str) -> list[Contestant]:
    """Return all that can be compared here; each builds on the image ``base``, which the engine has."""
    composes = {
        "Compose 1.29": debian(folder, compiled=True),
        "Compose 1.29, not compiled": debian(folder, compiled=False),
    }
    if subprocess.run(["docker", "compose", "version"], check=False, capture_output=True).returncode == 0:
        composes["Compose 2"] = (["docker", "compose"], {})
    return [
        ansible(folder, base),
        docker(folder, base),
        *(compose(folder, name, base, *start) for name, start in composes.items()),
    ]


def clone(folder: Path, name: str) -> Path:
    """Copy what the repository has under version control, so that a change of a source touches nothing else."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, stdout=subprocess.PIPE).stdout
    copy = folder / name.replace(" ", "-").replace(",", "")
    for file in files.decode().split("\0"):
        if file and (REPOSITORY / file).exists():
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / file, copy / file)
    return copy


def ansible(folder: Path, base: str) -> Contestant:
    """The playbooks."""
    demo = Demo("bench", {"demo_base_image": base})
    return Contestant(
        "site.yml",
        clone(folder, "ansible"),
        [demo.command("site.yml")],
        [demo.command("site.yml", "--tags=write")],
        [demo.command("site.yml", "--tags=read")],
        [demo.command("teardown.yml")],
    )


def docker(folder: Path, base: str) -> Contestant:
    """Three commands of the engine's client, with the same hardening."""
    name = "molecule-bench-docker"
    build = ["docker", "build", f"--tag={name}", f"--label={LABEL}=1", f"--build-arg=BASE_IMAGE={base}", "files/app"]
    write = ["docker", "run", "--rm", *HARDENING, f"--volume={name}:/data", name, "writer", *NAMES]
    read = ["docker", "run", "--rm", *HARDENING, f"--volume={name}:/data:ro", name, "reader"]
    remove = [["docker", "volume", "rm", name], ["docker", "image", "rm", name]]
    return Contestant("docker", clone(folder, "docker"), [build, write, read], [write], [read], remove)


def compose(folder: Path, name: str, base: str, start: Sequence[str], variables: Mapping[str, str]) -> Contestant:
    """The three commands of the original guide, on the project's Compose file with what that leaves to Ansible."""
    copy = clone(folder, name)
    image = f"molecule-bench-{copy.name.lower().replace('.', '-')}"
    file = copy / "files/compose.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    for service in content["services"].values():
        service["build"] = {"context": "app", "args": {"BASE_IMAGE": base}, "labels": {LABEL: "1"}}
    content["volumes"] = {"data": {"name": image}}
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    program = [*start, "--file=files/compose.yaml", f"--project-name={image}"]
    write, read = ([*program, "run", "--rm", "-T", service] for service in ("writer", "reader"))
    whole = [[*program, "build"], write, read]
    remove = [[*program, "down", "--volumes", "--rmi=all"]]
    return Contestant(name, copy, whole, [write], [read], remove, {"DEMO_IMAGE": image, **variables})


def debian(folder: Path, *, compiled: bool) -> tuple[list[str], dict[str, str]]:
    """Return how to start Debian's Compose 1.29, unpacked; to install it would compile its modules too."""
    root = folder / ("compiled" if compiled else "sources")
    unpack(root, "docker-compose")
    modules = root / "usr/lib/python3/dist-packages"
    if compiled:
        subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", str(modules)], check=True, capture_output=True)
    variables = {"PYTHONPATH": str(modules), "PYTHONDONTWRITEBYTECODE": "1"}
    return ["/usr/bin/python3", str(root / "usr/bin/docker-compose")], variables
