"""All spellings of an image's name are one name."""

from __future__ import annotations

from pathlib import Path

import pytest
from shared.demo import Demo, error, recap, works
from shared.engine import Engine
from shared.snapshots import snapshot_rows, snapshots_in
from shared.volumes import DEFAULT_ROWS

demo = Demo("foreign")
# On Docker Hub, whose address the engine leaves out.
hub = Demo("foreign-hub", {"demo_image": "docker.io/molecule/foreign"})
SHORT = "molecule/foreign"


def images(engine: Engine) -> list[str]:
    """Return the images of the second demo."""
    return [line for line in engine.state()["images"] if line.startswith((f"{SHORT}:", f"{SHORT}-base:"))]


def test_name_with_its_registry_is_built_backed_up_and_removed(engine: Engine, tmp_path: Path) -> None:
    try:
        works(hub.play("site.yml"))
        assert engine.rows(SHORT, hub.volume) == DEFAULT_ROWS
        assert recap(hub.play("site.yml"))["changed"] == 0
        works(hub.play("playbooks/backup.yml", demo_backup_dir=str(tmp_path)))
        (snapshot,) = snapshots_in(tmp_path)
        assert snapshot_rows(snapshot) == DEFAULT_ROWS
    finally:
        result = hub.play("teardown.yml")
    assert "stays" not in works(result)
    assert images(engine) == []
    assert engine.inspect("volume", hub.volume) == {}


def test_latest_of_somebody_else_by_another_spelling_stays(engine: Engine, tmp_path: Path) -> None:
    engine.output("tag", engine.base(demo.image), f"{SHORT}:latest")
    before = images(engine)
    try:
        for playbook in (["site.yml"], ["site.yml", "--tags=write"], ["playbooks/backup.yml"]):
            result = hub.play(*playbook, demo_backup_dir=str(tmp_path))
            assert f"The image {SHORT}:latest exists and this project did not build it" in error(result)
        works(hub.play("teardown.yml"))
        assert images(engine) == before
    finally:
        engine.output("image", "rm", f"{SHORT}:latest")
    assert engine.inspect("volume", hub.volume) == {}


@pytest.mark.parametrize("prefix", ["docker.io/library/", "index.docker.io/library/", "docker.io/", "library/"])
def test_library_of_docker_hub_is_no_other_image(engine: Engine, prefix: str) -> None:
    works(demo.play("site.yml"))
    before = images(engine), engine.inspect("image", demo.image)["RepoTags"]
    assert recap(demo.play("site.yml", demo_image=prefix + demo.image))["changed"] == 0
    assert (images(engine), engine.inspect("image", demo.image)["RepoTags"]) == before


def test_base_image_is_found_by_each_of_its_spellings(engine: Engine) -> None:
    name = "molecule-foreign-alias:1"
    engine.output("tag", engine.base(demo.image), name)
    try:
        for prefix in ("docker.io/library/", "index.docker.io/library/", ""):
            result = demo.play("site.yml", demo_base_image=prefix + name, demo_base_image_source="local")
            assert f"{prefix}{name}, as the engine had it" in works(result)
    finally:
        engine.output("image", "rm", name)
