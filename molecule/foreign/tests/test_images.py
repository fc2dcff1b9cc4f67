"""An image that only bears the names of this project's is never run, built upon, or removed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shared.demo import Demo, error, recap, said, works
from shared.engine import Engine
from shared.snapshots import snapshots_in
from shared.volumes import DEFAULT_ROWS

demo = Demo("foreign")
# The same volume, and another name for the image.
other = Demo("foreign", {"demo_image": "molecule-foreign-other"})
OTHER = "molecule-foreign-other"
VERSION = "org.opencontainers.image.version"


def commit(engine: Engine, image: str, name: str, *changes: str) -> str:
    """Make an image from another by hand, as `docker commit` does, and return its identity."""
    container = "molecule-foreign-commit"
    engine.output("create", f"--name={container}", image, "true")
    identity = engine.output("commit", *(f"--change={change}" for change in changes), container, name)
    engine.output("rm", container)
    return identity


def derive(engine: Engine, image: str, name: str) -> str:
    """Make an image from another by a Dockerfile, and return its identity."""
    build = f"printf 'FROM {image}\\nENV MINE=1\\n' | DOCKER_BUILDKIT=0 docker build --tag={name} -"
    assert engine.host.run(build).rc == 0
    return str(engine.inspect("image", name)["Id"])


def version(engine: Engine) -> str:
    """Return the tag of the image that the scenario's converge built."""
    tag: str = engine.inspect("image", demo.image)["Config"]["Labels"][VERSION]
    return tag


def bear(engine: Engine) -> list[str]:
    """Return the names that the second demo's image bears; the first may be the same image."""
    return [name for name in engine.inspect("image", OTHER)["RepoTags"] if name.startswith(f"{OTHER}:")]


def mounts(engine: Engine, since: float) -> list[str]:
    """Return what the engine tells of each container that has mounted the scenario's volume since then."""
    times = f"--since={since:.9f}", f"--until={time.time():.9f}"
    # A filter would let through each volume whose name begins like this one.
    told = engine.output("events", *times, "--filter=type=volume", "--filter=event=mount", "--format={{json .}}")
    return [line for line in told.splitlines() if json.loads(line)["Actor"]["ID"] == demo.volume]


@pytest.fixture
def remove(engine: Engine) -> Iterator[Callable[[str], None]]:
    """Take names of images that are gone in the end."""
    names: list[str] = []
    yield names.append
    for name in names:
        engine.docker("image", "rm", "--force", name)


@pytest.fixture
def container(engine: Engine) -> Iterator[str]:
    """The name of a container of somebody else, which is gone in the end."""
    name = "molecule-foreign-mine"
    yield name
    engine.docker("rm", "--force", name)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backups")
    works(demo.play("playbooks/backup.yml", demo_backup_dir=str(folder)))
    (snapshot,) = snapshots_in(folder)
    return snapshot


RUN_IT = [["site.yml", "--tags=write"], ["playbooks/backup.yml"]]
RUN_IT_ALL = [["site.yml", "--tags=build"], ["site.yml", "--tags=read"], ["playbooks/restore.yml"], ["site.yml"]]


@pytest.mark.parametrize(
    ("made", "playbooks"),
    [("alone", RUN_IT + RUN_IT_ALL), ("by commit", RUN_IT), ("by Dockerfile", RUN_IT[:1]), ("by tag", RUN_IT[:1])],
)
def test_foreign_latest_is_refused_and_never_run(
    engine: Engine, remove: Callable[[str], None], snapshot: Path, made: str, playbooks: list[list[str]]
) -> None:
    name = f"{OTHER}:latest"
    remove(name)
    if made == "alone":
        commit(engine, engine.base(demo.image), name, f"LABEL {VERSION}=latest")
    elif made == "by commit":
        commit(engine, demo.image, name)
    elif made == "by Dockerfile":
        derive(engine, demo.image, name)
    else:
        engine.output("tag", demo.image, name)
    identity = engine.inspect("image", name)["Id"]
    folder = snapshot.parents[1]
    since = time.time()
    for playbook in playbooks:
        result = other.play(*playbook, demo_backup_dir=str(folder), demo_backup_file=str(snapshot))
        assert f"The image {name} exists and this project did not build it" in error(result), playbook
    assert mounts(engine, since) == []
    assert snapshots_in(folder) == [snapshot]
    line = f"The image {name} stays: this project did not create it"
    assert line in said(other.play("teardown.yml", demo_keep_volume=True))
    assert engine.inspect("image", name)["Id"] == identity
    # The negative control: what the engine tells of a volume that is used.
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS
    assert len(mounts(engine, since)) == 1


def test_foreign_image_under_the_computed_tag_is_refused(engine: Engine, remove: Callable[[str], None]) -> None:
    base, tag = engine.base(demo.image), version(engine)
    name = f"{OTHER}:{tag}"
    remove(name)
    identity = commit(engine, base, name)
    since = time.time()
    result = other.play("site.yml", demo_base_image=base)
    assert f"The image {name} exists and this project did not build it" in error(result)
    assert mounts(engine, since) == []
    assert engine.inspect("image", f"{OTHER}:latest") == {}
    assert f"The image {name} stays" in said(other.play("teardown.yml", demo_keep_volume=True))
    assert engine.inspect("image", name)["Id"] == identity


def test_foreign_image_under_the_name_of_the_assembled_base_is_not_called_assembled(
    engine: Engine, remove: Callable[[str], None]
) -> None:
    base = engine.base(demo.image)
    name = f"{OTHER}-base:{base.split(':')[1]}"
    remove(name)
    identity = commit(engine, base, name, f"LABEL {VERSION}=1")
    result = other.play("site.yml", demo_base_image_source="wheels")
    assert f"The image {name} exists and was not assembled from wheels" in error(result)
    assert "NOT the official" not in result.stdout
    assert engine.inspect("image", name)["Id"] == identity
    assert engine.inspect("image", OTHER) == {}


def test_image_beside_the_assembled_base_is_never_touched(engine: Engine, remove: Callable[[str], None]) -> None:
    name = f"{OTHER}-base:3.12-alpine"
    remove(name)
    identity = commit(engine, engine.base(demo.image), name)
    try:
        result = other.play("site.yml", demo_base_image_source="wheels")
        assert "assembled from wheels; it is NOT the official python image" in works(result)
        assert engine.base(OTHER) != name
    finally:
        line = f"The image {name} stays: this project did not create it"
        assert line in said(other.play("teardown.yml", demo_keep_volume=True))
    assert engine.inspect("image", name)["Id"] == identity
    assert engine.inspect("image", OTHER) == {}


def test_what_somebody_made_from_our_image_stays(engine: Engine, remove: Callable[[str], None], container: str) -> None:
    committed, derived, tagged = (f"{OTHER}:{made}" for made in ("committed", "derived", "tagged"))
    # On the base of the scenario's image it would be that image once more, and not be lost with its names.
    base = f"{OTHER}-from:1"
    remove(base)
    derive(engine, engine.base(demo.image), base)
    works(other.play("site.yml", demo_base_image=base))
    engine.output("create", f"--name={container}", OTHER)
    remove(committed)
    remove(derived)
    theirs = {committed: commit(engine, OTHER, committed), derived: derive(engine, OTHER, derived)}
    ours = bear(engine)
    assert len(ours) == 2
    works(other.play("site.yml", demo_base_image=base, demo_clients=["Alice"]))
    assert engine.inspect("container", container) != {}
    line = error(other.play("teardown.yml", demo_keep_volume=True))
    assert container in line
    assert "nothing was touched" in line
    assert {*ours} <= {*bear(engine)}
    assert engine.inspect("container", container) != {}
    remove(tagged)
    engine.output("tag", OTHER, tagged)
    theirs[tagged] = engine.inspect("image", tagged)["Id"]
    # One of an image that somebody made from ours needs nothing that goes.
    engine.output("rm", container)
    engine.output("create", f"--name={container}", derived)
    result = other.play("teardown.yml", demo_keep_volume=True)
    for name, identity in theirs.items():
        assert f"The image {name} stays: this project did not create it" in said(result)
        assert engine.inspect("image", name)["Id"] == identity
    assert engine.inspect("container", container) != {}
    assert [engine.inspect("image", tag) for tag in ours] == [{}, {}]
    assert recap(other.play("teardown.yml", demo_keep_volume=True))["changed"] == 0
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS
