"""Ways to call a play, and configurations of Docker and Ansible, by which it would do nothing, or another thing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import create_server

import ansible
import pytest
from shared.demo import REPOSITORY, Demo, error, errors, recap, works
from shared.engine import Engine

demo = Demo("settings")
INVENTORY = f"--inventory={REPOSITORY / 'inventory/hosts.yml'}"
PLAYBOOKS = [
    "site.yml",
    "teardown.yml",
    *(f"playbooks/{name}.yml" for name in ("backup", "restore", "migrate", "engine")),
]


@pytest.fixture(autouse=True)
def _unchanged(engine: Engine) -> Iterator[None]:
    """Whatever is tried here leaves the engine as it was."""
    before = engine.state()
    yield
    assert engine.state() == before


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    """The folder of a configuration of Docker."""
    folder = tmp_path / "docker"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_play_without_an_inventory_does_not_end_well(playbook: str) -> None:
    result = demo.play(str(REPOSITORY / playbook), at=Path("/"))
    assert "No inventory that was read has hosts in a group docker_hosts" in error(result)


@pytest.mark.parametrize("content", [None, "web: {hosts: {beta: {}}}", "docker_hosts: {hosts: {}}"])
def test_inventory_of_somebody_else_does_not_end_well(tmp_path: Path, content: str | None) -> None:
    inventory = tmp_path / "hosts.yml"
    if content:
        inventory.write_text(content)
    result = demo.play("playbooks/backup.yml", variables={"ANSIBLE_INVENTORY": str(inventory)})
    assert "No inventory that was read has hosts in a group docker_hosts" in error(result)


def test_limit_to_another_host_does_not_end_well(tmp_path: Path) -> None:
    hosts: dict[str, object] = {"docker_hosts": {"hosts": {"alfa": {}}}, "web": {"hosts": {"beta": {}}}}
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps(hosts))
    result = demo.play("teardown.yml", f"--inventory={inventory}", "--limit=beta")
    assert "--limit beta leaves no host of the group docker_hosts" in error(result)


def test_folder_that_everybody_may_write_to_does_not_end_well(tmp_path: Path) -> None:
    """Ansible ignores ansible.cfg there; so does a folder of Windows in WSL look."""
    copy = tmp_path / "copy"
    shutil.copytree(REPOSITORY / "playbooks", copy / "playbooks")
    for name in ("ansible.cfg", "teardown.yml"):
        shutil.copy(REPOSITORY / name, copy)
    copy.chmod(0o777)
    assert "No inventory that was read has hosts" in error(demo.play("teardown.yml", at=copy))


@pytest.mark.parametrize("playbook", ["site.yml", "teardown.yml"])
def test_playbooks_find_their_roles_from_any_folder(playbook: str) -> None:
    works(demo.play(str(REPOSITORY / playbook), INVENTORY, "--check", at=Path("/")))


@pytest.mark.parametrize("playbook", PLAYBOOKS)
@pytest.mark.parametrize("option", ["--tags=gravar", "--skip-tags=gravar", "--tags=untagged"])
def test_unknown_tag_does_not_end_well(playbook: str, option: str) -> None:
    line = error(demo.play(playbook, option, demo_migrate_from="localhost"))
    assert f"{option.split('=')[1]} is no tag of this playbook, which has " in line
    assert ("build, write, read" in line) is (playbook == "site.yml")


@pytest.mark.parametrize("words", ["demo_clients_file=Lista 2026.csv", "demo_report=build/Meu relatorio.html"])
def test_argument_that_the_shell_cut_is_refused(words: str) -> None:
    line = error(demo.play("site.yml", f"--extra-vars={words}"))
    assert f"{words.split()[1]} belongs to no setting: a value with a space needs quotes inside the quotes" in line


def test_argument_with_quotes_inside_is_whole(tmp_path: Path) -> None:
    """The negative control: what the line advises."""
    names = tmp_path / "Lista 2026.csv"
    names.write_text("nome\nAlice\n")
    works(demo.play("site.yml", "--check", f'--extra-vars=demo_clients_file="{names}"'))


def context(folder: Path, *options: str) -> dict[str, str]:
    """Make a context of Docker's own client the current one, and return the environment in which it is."""
    here = ["docker", f"--config={folder}", "context"]
    subprocess.run([*here, "create", "tried", *options], check=True, capture_output=True)
    subprocess.run([*here, "use", "tried"], check=True, capture_output=True)
    return {"DOCKER_CONFIG": str(folder), "DOCKER_HOST": "", "DOCKER_CONTEXT": ""}


def test_play_speaks_to_the_engine_of_the_current_context(docker: Path) -> None:
    around = context(docker, "--docker=host=unix:///nowhere/docker.sock")
    assert "at demo_docker_host (unix:///nowhere/docker.sock)" in error(demo.play("teardown.yml", variables=around))
    works(demo.play("teardown.yml", variables={**around, "DOCKER_CONTEXT": "default"}))
    line = error(demo.play("teardown.yml", variables={**around, "DOCKER_CONTEXT": "nothing"}))
    assert "the docker context nothing cannot be read" in line


def test_context_with_certificates_is_one_line(docker: Path, certificate: Path) -> None:
    around = context(docker, f"--docker=host=tcp://127.0.0.1:1,ca={certificate}")
    assert "the docker context tried has certificates" in error(demo.play("teardown.yml", variables=around))


def test_helper_for_credentials_that_is_missing_does_not_matter_to_a_build(engine: Engine, docker: Path) -> None:
    (docker / "config.json").write_text(json.dumps({"credsStore": "nothing"}))
    try:
        works(demo.play("site.yml", "--tags=build", variables={"DOCKER_CONFIG": str(docker)}))
        assert engine.inspect("image", demo.image) != {}
    finally:
        works(demo.play("teardown.yml"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of a machine, which nobody vouches for; its key is beside it."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    key = [f"-keyout={path.with_suffix('.key')}", f"-out={path}"]
    words = [word for option in key for word in option.split("=", 1)]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", *words]
    subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.fixture
def secured(certificate: Path) -> Iterator[int]:
    """The port of somebody who speaks TLS, with that certificate."""
    secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secured.load_cert_chain(certificate, certificate.with_suffix(".key"))
    with create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                # Who does not trust it hangs up.
                with peer, contextlib.suppress(OSError):
                    secured.wrap_socket(peer, server_side=True).recv(1)

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]


def test_other_authorities_of_the_environment_are_named(secured: int) -> None:
    around = {"DOCKER_HOST": f"https://127.0.0.1:{secured}", "CURL_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt"}
    line = error(demo.play("site.yml", variables=around))
    assert "No Docker Engine answers at demo_docker_host" in line
    assert "CURL_CA_BUNDLE of the environment, and `docker` does not" in line


def test_proxy_of_the_environment_is_named() -> None:
    around = {"DOCKER_HOST": "tcp://engine.invalid:2375", "http_proxy": "http://127.0.0.1:1", "no_proxy": ""}
    line = error(demo.play("site.yml", variables=around))
    assert "HTTP_PROXY of the environment, and `docker` does not" in line


def test_older_collection_of_the_user_is_not_taken(tmp_path: Path) -> None:
    ours = Path(ansible.__file__).parents[1] / "ansible_collections/community/docker"
    theirs = tmp_path / ".ansible/collections/ansible_collections/community/docker"
    shutil.copytree(ours, theirs)
    for module in theirs.glob("plugins/modules/docker_*image*.py"):
        module.unlink()
    result = demo.play("teardown.yml", variables={"HOME": str(tmp_path)})
    assert errors(result) == []
    assert recap(result)["changed"] == 0


def test_home_may_have_a_dollar_in_its_path(tmp_path: Path) -> None:
    home = tmp_path / "a$b"
    home.mkdir()
    around = {"HOME": str(home)}
    works(demo.play("site.yml", "--check", variables=around, demo_backup_dir="~/backups"))
    line = error(demo.play("site.yml", "--check", variables={**around, "b": "c"}, demo_backup_dir=f"{home}/backups"))
    assert "and variables in its path" in line


def test_wheels_that_cannot_be_had_are_refused_as_any_other_source(tmp_path: Path) -> None:
    around = {"PIP_INDEX_URL": "http://127.0.0.1:1", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    result = demo.play("site.yml", demo_base_image_source="wheels", base_image_cache=str(tmp_path), variables=around)
    line = error(result)
    assert (
        "is not to be had from base_image_source=wheels: The wheels of the base image could not be downloaded" in line
    )
    assert list(tmp_path.iterdir()) == []


def test_page_of_an_earlier_run_does_not_stay_for_that_of_one_that_fails(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("<!doctype html>\n<!-- A report of sqlite-demo -->\n")
    error(demo.play("site.yml", demo_report=str(page), demo_docker_host="unix:///nowhere.sock"))
    assert not page.exists()
