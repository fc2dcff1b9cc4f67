"""The playbooks do on many hosts what they do on one, and what befalls one host stays there."""

from __future__ import annotations

import copy
import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from shared.demo import Demo, environment, errors, recaps, table, works
from shared.engine import Engine
from shared.machines import FIRST, SECOND, DockerHost, Fleet, make_key, prepare_overlay
from shared.registry import prepare_registry
from shared.system import kill_tree, wait_for
from shared.volumes import DEFAULT_ROWS

NAMES = ["alfa", "beta", "gama", "gama-2"]
STRICT = "-o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile="
ROWS = {name: [[1, "Davi"], [2, "Elisa"]] if name == "beta" else DEFAULT_ROWS for name in NAMES}


def with_demo(demo: Demo, inventory: Path) -> Demo:
    """Return the demo on the hosts of another inventory."""
    return Demo(demo.name, demo.settings, (f"--inventory={inventory}",))


def states(engines: dict[str, Engine]) -> dict[str, dict[str, list[str]]]:
    return {name: engine.state() for name, engine in engines.items()}


def test_every_host_has_its_volume_and_its_records(demo: Demo, engines: dict[str, Engine]) -> None:
    result = demo.play("site.yml")
    assert {name: counts["changed"] for name, counts in recaps(result).items()} == dict.fromkeys(NAMES, 0)
    assert {name: engine.rows(demo.image, demo.volume) for name, engine in engines.items()} == ROWS
    assert all(engine.state()["containers"] == [] for engine in engines.values())
    assert all(engine.state()["volumes"] == [demo.volume] for engine in engines.values())
    for name, (volume, records, base, outcome) in table(result).items():
        assert (volume, records, outcome) == (demo.volume, str(len(ROWS[name])), "ok, 0 written")
        assert engines[name].base(demo.image) in base
    assert list(table(result)) == NAMES


def test_the_hosts_need_no_more_than_a_user_who_may_use_the_engine(demo: Demo, fleet: Fleet) -> None:
    def ad_hoc(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = demo.command("site.yml")[0].replace("ansible-playbook", "ansible")
        command = [program, "docker_hosts", f"--inventory={fleet.inventory}", *arguments]
        return subprocess.run(command, check=False, env=environment(), capture_output=True, text=True)

    user = ad_hoc("--module-name=command", "--args=id -un").stdout
    assert user.split().count("deploy") == len(NAMES), user
    assert ad_hoc("--module-name=ping").returncode == 0
    assert ad_hoc("--module-name=ping", "--become").returncode != 0, "this user is nobody else"


def test_check_mode_changes_nothing(demo: Demo, engines: dict[str, Engine]) -> None:
    before = states(engines)
    for playbook in ("site.yml", "teardown.yml", "playbooks/backup.yml"):
        works(demo.play(playbook, "--check"))
    assert states(engines) == before


def test_a_host_that_is_down_stops_nobody_else(demo: Demo, fleet: Fleet, engines: dict[str, Engine]) -> None:
    fleet.machines["beta"].crash()
    result = demo.play("site.yml", demo_clients=["Alice", "Bruno", "Carla", "Zeca"])
    assert result.returncode == 4
    others = [name for name in NAMES if name != "beta"]
    assert "127.0.0.1" in errors(result)[0]
    assert len(errors(result)) == 1
    assert recaps(result)["beta"]["unreachable"] == 1
    assert table(result)["beta"] == ["-", "-", "-", "unreachable"]
    for name in others:
        assert table(result)[name][1::2] == ["4", "ok, 1 written"]
        assert engines[name].rows(demo.image, demo.volume) == [*DEFAULT_ROWS, [4, "Zeca"]]
    fleet.machines["beta"].boot()
    wait_for(lambda: engines["beta"].docker("version").rc == 0)
    assert table(demo.play("site.yml"))["beta"][1::2] == ["2", "ok, 0 written"]
    assert engines["beta"].rows(demo.image, demo.volume) == ROWS["beta"], "its data have outlived the crash"


def test_a_host_whose_disk_is_full_stops_nobody_else(demo: Demo, fleet: Fleet, engines: dict[str, Engine]) -> None:
    small = DockerHost(fleet.folder / "overlay", "30m")
    try:
        inventory = fleet.with_hosts("full", pequena=small, alfa=fleet.machines["alfa"])
        result = with_demo(demo, inventory).play("site.yml")
        assert result.returncode == 2
        assert "perhaps there is no space left on its disk" in errors(result)[0]
        assert table(result)["pequena"][:2] == ["-", "-"]
        assert table(result)["pequena"][-1] == "failed"
        assert table(result)["alfa"][-1] == "ok, 0 written"
        assert engines["alfa"].state()["containers"] == []
    finally:
        small.close()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ansible_ssh_private_key_file", "{folder}/strange", "Permission denied (publickey)"),
        (
            "ansible_ssh_common_args",
            "-o StrictHostKeyChecking=yes -o UserKnownHostsFile=/dev/null",
            "No ED25519 host key is known",
        ),
        ("ansible_ssh_common_args", "-o StrictHostKeyChecking=yes -o UserKnownHostsFile={folder}/forged", "host key"),
    ],
    ids=["key not accepted", "host unknown", "host not what it was"],
)
def test_a_host_that_cannot_be_trusted_is_refused(
    demo: Demo, fleet: Fleet, engines: dict[str, Engine], variable: str, value: str, words: str
) -> None:
    for name in ("strange", "forged"):
        (fleet.folder / name).unlink(missing_ok=True)
    strange = make_key(fleet.folder / "strange")
    (fleet.folder / "forged").write_text(f"[127.0.0.1]:{fleet.machines['beta'].port} {strange}")
    group = copy.deepcopy(fleet.group)
    # Over a connection that is open already, nobody would ask.
    beta = {variable: value.format(folder=fleet.folder), "ansible_control_path_dir": str(fleet.folder / "other")}
    group["hosts"]["beta"] |= beta
    before = states(engines)
    result = with_demo(demo, fleet.write("refused", group)).play("site.yml")
    assert result.returncode == 4
    (line,) = errors(result)
    assert words in result.stdout
    assert "Make sure this host can be reached over ssh" in line
    assert table(result)["beta"][-1] == "unreachable"
    assert table(result)["gama"][-1] == "ok, 0 written"
    assert states(engines) == before


def test_the_python_of_a_host_lacks_requests(demo: Demo, fleet: Fleet, tmp_path: Path) -> None:
    prepare_overlay(tmp_path / "bare", (fleet.folder / "key.pub").read_text())
    bare = DockerHost(tmp_path / "bare")
    try:
        inventory = fleet.with_hosts("bare", nua=bare)
        here = with_demo(demo, inventory)
        (line,) = errors(here.play("site.yml"))
        assert "The Python of nua lacks requests" in line
        assert "python3-requests" in line
        # The same playbook for which that line asks. Here there is no sudo: root logs in.
        works(here.play("playbooks/engine.yml", "--user=root", ansible_user="root"))
        works(here.play("site.yml"))
    finally:
        bare.close()


def test_what_the_controller_has_travels(demo: Demo, fleet: Fleet, engines: dict[str, Engine], tmp_path: Path) -> None:
    """An archive of the base image, the build context, a file of records: all on this side only."""
    archive, records, name = tmp_path / "base.tar", tmp_path / "clientes.csv", "molecule-fleet-archived:1"
    engines["alfa"].output("run", "--name=another", engines["alfa"].base(demo.image), "touch", "/changed")
    engines["alfa"].output("commit", "another", name)
    engines["alfa"].output("rm", "another")
    engines["alfa"].output("save", f"--output={archive}", name)
    engines["alfa"].output("image", "rm", name)
    records.write_text("nome\n" + "".join(f"Cliente {number}\n" for number in range(3000)))
    settings = {
        "demo_base_image": name,
        "demo_base_image_source": "archive",
        "demo_base_image_archive": str(archive),
        "demo_volume": "molecule_fleet_archived",
        "demo_clients_file": str(records),
    }
    for path in (archive, records):
        path.chmod(0o600)
    there = Demo(demo.name, settings, demo.options)
    try:
        works(there.play("site.yml", f"--limit={SECOND},beta"))
        for host in (SECOND, "beta"):
            assert engines[host].base(demo.image) == name
            assert len(engines[host].rows(demo.image, "molecule_fleet_archived")) == 3000
        assert fleet.leftovers() == set()
    finally:
        works(there.play("teardown.yml", f"--limit={SECOND},beta"))
        for host in (SECOND, "beta"):
            engines[host].docker("image", "rm", name)
        works(demo.play("site.yml", f"--limit={SECOND},beta"))


def test_each_host_pulls_the_base_image_itself(
    demo: Demo, fleet: Fleet, engines: dict[str, Engine], tmp_path: Path
) -> None:
    """Each has a registry that nobody else can reach; both have the same images."""
    hosts, address = ("alfa", "beta"), "127.0.0.1:5000"
    name = f"{address}/python:3.12-alpine"
    command = prepare_registry(tmp_path, address)
    logs = {host: fleet.machines[host].scratch / "serve.log" for host in hosts}
    for host in hosts:
        (fleet.machines[host].scratch / "serve.json").write_text(json.dumps(command))
        fleet.machines[host].tell("serve")
    engines["alfa"].output("tag", engines["alfa"].base(demo.image), name)
    wait_for(lambda: engines["alfa"].docker("push", name).rc == 0)
    engines["alfa"].output("image", "rm", name)
    there = Demo(demo.name, {"demo_base_image": name}, demo.options)
    try:
        result = there.play("site.yml", "--tags=build", f"--limit={','.join(hosts)}", demo_base_image_source="registry")
        works(result)
        assert {row[2] for row in table(result).values()} == {f"{name} (registry)"}
        for host in hosts:
            assert engines[host].inspect("image", name) != {}
            lines = logs[host].read_text().splitlines()
            assert sum("manifests/3.12-alpine HTTP" in line and "PUT" not in line for line in lines) == 1
    finally:
        for host in hosts:
            engines[host].docker("image", "rm", name)


@pytest.mark.parametrize("step", ["base image", "image"])
def test_the_next_build_removes_what_one_that_was_killed_left(
    demo: Demo, fleet: Fleet, engines: dict[str, Engine], step: str
) -> None:
    beta, arguments = engines["beta"], ("--tags=build", "--limit=beta")
    tags = beta.output("images", "--format={{.Repository}}:{{.Tag}}").split()
    gone = [tag for tag in tags if step == "base image" or tag.startswith(f"{demo.image}:")]
    beta.output("image", "rm", *gone)
    assert fleet.leftovers() == set()
    play = demo.start("site.yml", *arguments)
    wait_for(fleet.leftovers)
    kill_tree(play.pid)
    assert play.wait(timeout=120) == -signal.SIGKILL
    left = fleet.leftovers()
    assert len(left) == 1, "nobody was left to remove it"
    works(demo.play("site.yml", *arguments))
    assert fleet.leftovers() == set()
    assert beta.inspect("image", f"{demo.image}:latest") != {}


def test_snapshots_of_each_host_and_back(demo: Demo, fleet: Fleet, engines: dict[str, Engine], tmp_path: Path) -> None:
    there = Demo(demo.name, {"demo_backup_dir": str(tmp_path)}, demo.options)
    works(there.play("playbooks/backup.yml"))
    snapshots = {name: next((tmp_path / name).glob("*.gz")) for name in NAMES}
    manifests = {name: json.loads(path.with_suffix(".json").read_text()) for name, path in snapshots.items()}
    assert {name: manifest["rows"] for name, manifest in manifests.items()} == {
        name: len(engines[name].rows(demo.image, demo.volume)) for name in NAMES
    }
    before = states({name: engines[name] for name in NAMES if name != FIRST})
    works(there.play("teardown.yml", f"--limit={FIRST}"))
    assert engines[FIRST].state() == {"containers": [], "images": [], "volumes": []}
    assert states({name: engines[name] for name in NAMES if name != FIRST}) == before, "the others are as they were"
    works(there.play("playbooks/restore.yml", f"--limit={FIRST}", demo_backup_file=str(snapshots[FIRST])))
    assert len(engines[FIRST].rows(demo.image, demo.volume)) == manifests[FIRST]["rows"]
    assert fleet.leftovers() == set()
    shutil.rmtree(tmp_path)
