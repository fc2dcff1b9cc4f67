"""Engines with settings of their own: logs that rotate, no init process, a /tmp that Ansible does not share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shared.demo import Demo, error, recap, works
from shared.engine import Engine
from shared.private_engine import PrivateEngine
from shared.snapshots import snapshot_rows, snapshots_in
from shared.system import wait_for
from shared.volumes import DEFAULT_ROWS
from testinfra.host import Host


@pytest.fixture
def unlike(request: pytest.FixtureRequest) -> Iterator[PrivateEngine]:
    """An engine that is made as the test's parameter says."""
    unlike = PrivateEngine(**request.param)
    unlike.tell("start")
    wait_for((unlike.folder / "docker.sock").exists)
    yield unlike
    unlike.close()


def demo_on(unlike: PrivateEngine) -> Demo:
    return Demo("steps", {"demo_docker_host": unlike.address})


ROTATING = {"options": {"log-driver": "json-file", "log-opts": {"max-size": "1k", "max-file": "1"}}}


@pytest.mark.parametrize("unlike", [ROTATING], indirect=True)
def test_output_is_whole_where_the_logs_of_the_engine_rotate(unlike: PrivateEngine, tmp_path: Path) -> None:
    demo = demo_on(unlike)
    names = [f"cliente número {number} de muitos" for number in range(1, 201)]
    output = works(demo.play("site.yml", demo_clients=names[:18]))
    assert all(f"        {number}: {name}\n" in output for number, name in enumerate(names[:18], start=1))
    assert ", read 18; removed too" in output
    output = works(demo.play("site.yml", demo_clients=names))
    assert "wrote 182 new and knew 18;" in output
    assert ", read 200; removed too" in output
    assert f"        20: {names[19]}\n" in output
    assert "... e mais 180, de um total de 200." in output
    works(demo.play("playbooks/backup.yml", demo_backup_dir=str(tmp_path)))
    (snapshot,) = snapshots_in(tmp_path)
    assert snapshot_rows(snapshot) == [[number, name] for number, name in enumerate(names, start=1)]


@pytest.mark.parametrize("unlike", [{"init": False}], indirect=True)
def test_engine_without_an_init_program_works(host: Host, unlike: PrivateEngine) -> None:
    demo, engine = demo_on(unlike), Engine(host, unlike.address)
    works(demo.play("site.yml"))
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS
    # The negative control: this engine has none.
    assert engine.docker("run", "--rm", "--init", demo.image, "reader").rc != 0


@pytest.mark.parametrize("unlike", [{"tmp": True}], indirect=True)
def test_engine_with_a_tmp_of_its_own_says_what_to_set(
    host: Host, unlike: PrivateEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo, engine = demo_on(unlike), Engine(host, unlike.address)
    works(demo.play("site.yml"))
    (tmp_path / "clients.csv").write_text("nome\nDavi\n")
    folder = tmp_path / "backups"
    files = {"demo_clients_file": str(tmp_path / "clients.csv"), "demo_backup_dir": str(folder)}
    bulk = Demo(demo.name, {**demo.settings, **files})
    for playbook in ("site.yml", "playbooks/backup.yml"):
        line = error(bulk.play(playbook))
        assert "Set TMPDIR on localhost to a folder that both see" in line
        assert engine.output("ps", "--all", "--quiet") == ""
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS
    assert snapshots_in(folder) == []
    monkeypatch.setenv("TMPDIR", str(unlike.scratch))
    assert recap(bulk.play("site.yml"))["changed"] == 1
    works(bulk.play("playbooks/backup.yml"))
    (snapshot,) = snapshots_in(folder)
    assert snapshot_rows(snapshot) == [*DEFAULT_ROWS, [4, "Davi"]]
    assert list(unlike.scratch.iterdir()) == []


CROWD = """
export DOCKER_HOST=%s
docker create --name=first %s && docker export first | docker import - stranger:1 && docker rm first &&
for number in $(seq 300); do docker volume create stranger-$number; done &&
for name in $(seq --format=stranger-%%g 20); do
  docker tag stranger:1 $name:1 && docker create --name=$name --volume=stranger-1:/data $name:1 true
done
"""


@pytest.mark.parametrize("unlike", [{}], indirect=True)
def test_engine_with_many_things_is_asked_for_those_of_the_demo_alone(
    host: Host, unlike: PrivateEngine, tmp_path: Path
) -> None:
    demo, engine = demo_on(unlike), Engine(host, unlike.address)
    works(demo.play("site.yml"))
    crowd = host.run(CROWD, unlike.address, engine.base(demo.image))
    assert crowd.rc == 0, crowd.stderr
    # Names that begin as those of the demo do are not its own.
    engine.output("volume", "create", f"{demo.volume}_other")
    engine.output("create", f"--name={demo.writer}-other", "stranger:1", "true")
    before = engine.state()
    for playbook in ("site.yml", "playbooks/backup.yml", "teardown.yml"):
        output = works(demo.play(playbook, "-vvv", demo_backup_dir=str(tmp_path)))
        assert demo.volume in output, "what modules answered is shown"
        assert "stranger-" not in output
    after = engine.state()
    gone = {kind: set(before[kind]) - set(after[kind]) for kind in before}
    assert gone["volumes"] == {demo.volume}
    assert gone["containers"] == set()
    assert {line.split(":")[0] for line in gone["images"]} == {demo.image, f"{demo.image}-base"}
