"""A change does what it should on the next run, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from shared.demo import REPOSITORY, Demo, error, local_inventory, recap, recaps, table, works
from shared.engine import Engine
from shared.private_engine import PrivateEngine
from shared.registry import run_registry
from shared.system import wait_for
from testinfra.host import Host

demo = Demo("changes")


class Several(Demo):
    """The demo whose hosts have images of their own names, if the inventory says so."""

    def command(self, playbook: str, *arguments: str, **settings: object) -> list[str]:
        *command, variables = super().command(playbook, *arguments, **settings)
        extra = json.loads(variables.removeprefix("--extra-vars="))
        del extra["demo_image"]
        return [*command, f"--extra-vars={json.dumps(extra)}"]


def asked(folder: Path, tag: str) -> int:
    """Return how often the registry was asked for what an image's tag stands for."""
    lines = (folder / "registry.log").read_text().splitlines()
    return sum(f"manifests/{tag} HTTP" in line and "PUT" not in line for line in lines)


@pytest.fixture(scope="module")
def base(host: Host) -> str:
    """The base image that the scenario's converge built on."""
    return Engine(host).base(demo.image)


@pytest.fixture
def other_base(engine: Engine, base: str) -> Iterator[str]:
    """The base image with one file more, under a name of its own."""
    name, container = "molecule-changes-another:1", "molecule-changes-another"
    engine.output("run", f"--name={container}", base, "touch", "/changed")
    engine.output("commit", container, name)
    engine.output("rm", container)
    yield name
    engine.output("image", "rm", "--force", name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the registry has."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def registry(folder: Path) -> Iterator[str]:
    """The address of a real registry that lives as long as the tests."""
    with run_registry(folder) as address:
        yield address


def test_another_list_adds_what_is_new_and_builds_nothing(engine: Engine) -> None:
    image = engine.inspect("image", demo.image)["Id"]
    names = [
        "José",
        "مرحبا",
        "--json",
        "'; DROP TABLE clientes; --",
        "../etc/passwd",
        "$(id)",
        '{"a": 1}',
        "\u202eabc\u200f",
    ]
    result = demo.play("site.yml", demo_clients=["Bruno", *names])
    assert recap(result)["changed"] == 1, result.stdout
    expected = ["Alice", "Bruno", "Carla", *names]
    assert engine.rows(demo.image, demo.volume) == [[i, name] for i, name in enumerate(expected, start=1)]
    assert all(f"        {i}: {name}\n" in result.stdout for i, name in enumerate(expected, start=1))
    assert engine.inspect("image", demo.image)["Id"] == image
    assert recap(demo.play("site.yml", demo_clients=["Bruno", *names]))["changed"] == 0


def test_another_source_file_builds_anew(engine: Engine, tmp_path: Path) -> None:
    before = engine.inspect("image", demo.image)
    shutil.copytree(
        REPOSITORY, tmp_path / "copy", ignore=shutil.ignore_patterns(".venv", ".git", "build", "molecule", "tests")
    )
    reader = tmp_path / "copy/files/app/reader.py"
    reader.write_text(reader.read_text().replace("Clientes encontrados:", "Clientes:"))
    result = demo.play("site.yml", at=tmp_path / "copy")
    assert result.returncode == 0, result.stdout
    assert "        Clientes:\n        1: Alice" in result.stdout
    after = engine.inspect("image", demo.image)
    assert after["Id"] != before["Id"]
    old = [tag for tag in before["RepoTags"] if tag != f"{demo.image}:latest"]
    assert engine.inspect("image", before["Id"])["RepoTags"] == old

    result = demo.play("site.yml")
    assert recap(result)["changed"] == 1, "going back builds nothing, it only points latest at the old image"
    assert engine.inspect("image", demo.image)["Id"] == before["Id"]


def test_another_base_image_builds_anew(engine: Engine, other_base: str) -> None:
    before = engine.inspect("image", demo.image)["Id"]
    result = demo.play("site.yml", demo_base_image=other_base)
    assert f"{other_base}, as the engine had it" in result.stdout
    assert engine.inspect("image", demo.image)["Id"] != before
    assert engine.base(demo.image) == other_base
    check = engine.docker("run", "--rm", "--entrypoint=ls", demo.image, "/changed")
    assert check.rc == 0


def test_base_image_from_an_archive(engine: Engine, other_base: str, tmp_path: Path) -> None:
    archive = tmp_path / "base.tar"
    engine.output("save", f"--output={archive}", other_base)
    engine.output("image", "rm", "--force", other_base)
    copy = Demo("changes", {"demo_base_image": other_base, "demo_base_image_archive": str(archive)})
    result = copy.play("site.yml", "--tags=build", demo_base_image_source="archive")
    assert result.returncode == 0, result.stdout
    assert engine.base(demo.image) == other_base
    again = copy.play("site.yml", "--tags=build", demo_base_image_source="archive")
    assert recap(again)["changed"] == 0, again.stdout


@pytest.mark.parametrize("source", ["auto", "registry"])
def test_base_image_from_a_registry(engine: Engine, base: str, registry: str, source: str) -> None:
    name = f"{registry}/python:3.12-alpine"
    assert demo.play("site.yml").returncode == 0
    before = engine.inspect("image", demo.image)["Id"]
    engine.output("tag", base, name)
    wait_for(lambda: engine.docker("push", name).rc == 0)
    engine.output("image", "rm", name)
    copy = Demo("changes", {"demo_base_image": name, "demo_base_image_source": source})
    try:
        result = copy.play("site.yml")
        assert f"{name}, pulled from its registry" in result.stdout
        assert engine.inspect("image", demo.image)["Id"] == before, "the same base by another name builds nothing"
        assert recap(copy.play("site.yml", "--tags=build"))["changed"] == 0
    finally:
        engine.output("image", "rm", "--force", name)


def test_each_host_gets_the_base_image_for_itself(
    engine: Engine, host: Host, base: str, registry: str, private: PrivateEngine, folder: Path, tmp_path: Path
) -> None:
    """Two hosts share the engine of this machine, which reaches the registry; that of the third does not."""
    hosts: dict[str, dict[str, object]] = {
        name: {"demo_image": f"molecule-changes-{name}"} for name in ("longe", "esta", "outra")
    }
    hosts["longe"]["demo_docker_host"] = private.address
    inventory = local_inventory(tmp_path, hosts)
    name, archive = f"{registry}/python:each", tmp_path / "base.tar"
    engine.output("tag", base, name)
    engine.output("save", f"--output={archive}", name)
    wait_for(lambda: engine.docker("push", name).rc == 0)
    engine.output("image", "rm", name)
    settings = {"demo_base_image": name, "demo_base_image_archive": str(archive)}
    several = Several("changes", settings, (f"--inventory={inventory}",))
    far = Engine(host, private.address)
    try:
        result = several.play("site.yml", "--tags=build")
        works(result)
        assert asked(folder, "each") == 2
        from_registry = f"{name} (registry)"
        assert {one: row[2] for one, row in table(result).items()} == {
            "longe": f"{name} (archive)",
            "esta": from_registry,
            "outra": from_registry,
        }
        for one in hosts:
            there = far if one == "longe" else engine
            assert there.inspect("image", name) != {}
            assert there.inspect("image", f"molecule-changes-{one}") != {}
        assert {counts["changed"] for counts in recaps(several.play("site.yml", "--tags=build")).values()} == {0}
    finally:
        # Two of them share a volume, which is the scenario's.
        works(several.play("teardown.yml", demo_keep_volume=True))
        for each in (engine, far):
            each.docker("image", "rm", "--force", name)


@pytest.mark.parametrize("source", ["auto", "local", "registry", "archive", "wheels"])
def test_base_image_that_its_source_does_not_have(engine: Engine, tmp_path: Path, source: str) -> None:
    archive = tmp_path / "other.tar"
    engine.output("save", f"--output={archive}", demo.image)
    before = engine.state()
    result = demo.play(
        "site.yml",
        demo_base_image="molecule-changes-missing:1",
        demo_base_image_source=source,
        demo_base_image_archive=str(archive),
    )
    assert "molecule-changes-missing:1" in error(result)
    assert engine.state() == before
