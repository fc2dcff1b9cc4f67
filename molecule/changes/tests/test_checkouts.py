"""One commit is one image, whatever the checkout's file modes and line ends are."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from shared.demo import REPOSITORY, Demo, recap, works
from shared.engine import Engine
from testinfra.host import Host

FILES = ("ansible.cfg", "site.yml", "teardown.yml", "files", "inventory", "playbooks", "roles")


@pytest.fixture(scope="module")
def demo(host: Host) -> Iterator[Demo]:
    """The demo under an image's name of its own, on the base image and the volume of the scenario."""
    base = Engine(host).base(Demo("changes").image)
    settings = {"demo_image": "molecule-changes-checkout", "demo_base_image": base, "demo_base_image_source": "local"}
    demo = Demo("changes", settings)
    yield demo
    works(demo.play("teardown.yml", demo_keep_volume=True))


def tags(engine: Engine) -> set[str]:
    """Return the tags of all images that were built."""
    listed = engine.output("images", "--format={{.Tag}}", "molecule-changes-checkout").split()
    return set(listed) - {"latest"}


def test_checkout_under_a_strict_umask_is_the_same_image_and_runs(engine: Engine, demo: Demo, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in FILES:
        source = REPOSITORY / name
        shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy / name)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)
    # The strict one builds it, and each of its programs runs; the usual one after it finds nothing to build.
    output = works(demo.play("site.yml", at=copy, demo_clients=["Alice"]))
    assert "        1: Alice\n" in output
    assert len(tags(engine)) == 1
    result = demo.play("site.yml", demo_clients=["Alice"])
    works(result)
    assert recap(result)["changed"] == 0
    assert len(tags(engine)) == 1


def test_checkout_with_the_line_ends_of_windows_is_the_same_image(engine: Engine, demo: Demo, tmp_path: Path) -> None:
    before = tags(engine)
    built = []
    for name, convert in (("plain", "false"), ("windows", "true")):
        clone = tmp_path / name
        command = [
            "git",
            "clone",
            "--quiet",
            "--no-local",
            f"--config=core.autocrlf={convert}",
            str(REPOSITORY),
            str(clone),
        ]
        subprocess.run(command, check=True)
        works(demo.play("site.yml", "--tags=build", at=clone))
        built.append(engine.inspect("image", "molecule-changes-checkout")["RepoTags"])
    assert built[0] == built[1]
    assert len(tags(engine) - before) <= 1, "only if this checkout has changes that are not committed"
