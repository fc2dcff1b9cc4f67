"""A stranger installs the roles as a collection, and uses them for an application of their own."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from shared.demo import REPOSITORY, Demo, environment, error, recap, works
from shared.engine import Engine
from shared.snapshots import manifest
from shared.system import wait_for
from testinfra.host import Host

demo = Demo("example")

LOANS = [["Dom Casmurro", "Ana"], ["Grande Sertão: Veredas", "Bento"], ["A Hora da Estrela", "Célia"]]
QUERY = "SELECT titulo, leitor FROM emprestimos JOIN livros ON id = livro ORDER BY id"

READ = f"""
import json, sqlite3
print(json.dumps(sqlite3.connect("file:/data/acervo.sqlite3?mode=ro", uri=True).execute("{QUERY}").fetchall()))
"""
FORGET = """
import sqlite3
connection = sqlite3.connect("/data/acervo.sqlite3")
connection.execute("UPDATE emprestimos SET leitor = 'ninguém'")
connection.commit()
"""
LOCK = """
import sqlite3, time
connection = sqlite3.connect("/data/acervo.sqlite3", isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(60)
"""

BIN = Path(sys.executable).parent
# What a stranger has never heard of.
THE_DEMO = re.compile(r"\bdemo_|site\.yml|teardown\.yml|sqlite-demo|clientes")


@dataclass(frozen=True)
class Example:
    """The example, run as its README says."""

    folder: Path
    collections: Path
    base: str
    app: str = "molecule-example-biblioteca"

    def play(self, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
        """Run the example's playbook to its end; it never speaks of the demo."""
        names = {"app": self.app, "base_image": self.base, **settings}
        command = [str(BIN / "ansible-playbook"), "biblioteca.yml", *arguments, f"--extra-vars={json.dumps(names)}"]
        variables = environment() | {"ANSIBLE_COLLECTIONS_PATH": str(self.collections)}
        result = subprocess.run(
            command, cwd=self.folder, env=variables, check=False, capture_output=True, text=True, timeout=300
        )
        assert not THE_DEMO.search(result.stdout), result.stdout
        assert str(REPOSITORY) not in result.stdout
        return result

    def images(self, engine: Engine) -> list[str]:
        """Return the names, with tags, of the images of the example that the engine has."""
        return engine.output("images", "--format={{.Repository}}:{{.Tag}}", self.app).splitlines()

    def snapshots(self) -> list[Path]:
        """Return the snapshots on the controller, oldest first."""
        return sorted(self.folder.glob("copias/localhost/*.gz"))


def git(folder: Path, *arguments: str) -> str:
    """Run git, which need not know the user, nor belong to them what is in the folder."""
    who = ["-c", "safe.directory=*", "-c", "user.name=molecule", "-c", "user.email=molecule@localhost"]
    command = ["git", *who, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def install(source: str, folder: Path) -> Path:
    """Install the collection from a source into a folder, and return where it is."""
    command = [str(BIN / "ansible-galaxy"), "collection", "install", source, f"--collections-path={folder}"]
    result = subprocess.run(command, cwd=folder.parent, env=environment(), check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "ansible_collections/sqlite_demo/volumes"


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the repository as it is now, with what is not committed yet."""
    clone = tmp_path_factory.mktemp("clone") / "volumes"
    names = git(REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(lambda name: (REPOSITORY / name).is_file(), names):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, clone / name)
    git(clone, "init", "--quiet")
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message=As it is now")
    return clone


@pytest.fixture(scope="module")
def example(clone: Path, tmp_path_factory: pytest.TempPathFactory, host: Host) -> Iterator[Example]:
    """The example after its first run; what it has on the engine is gone in the end."""
    folder = tmp_path_factory.mktemp("stranger")
    shutil.copytree(clone / "examples", folder / "examples")
    install(f"git+file://{clone}", folder / "collections")
    engine = Engine(host)
    example = Example(folder / "examples", folder / "collections", engine.base(Demo("example").image))
    works(example.play())
    yield example
    engine.docker("volume", "rm", example.app)
    for image in example.images(engine):
        engine.docker("image", "rm", image)


def loans(engine: Engine, example: Example) -> list[list[str]]:
    """Return the loans in the volume, read by a container that has none of this repository's code."""
    rows: list[list[str]] = json.loads(engine.python(demo.image, example.app, READ))
    return rows


def change(engine: Engine, example: Example, *command: str) -> None:
    """Run a command on the volume, as the user that owns it."""
    mount = f"--volume={example.app}:/data"
    engine.output("run", "--rm", "--user=10001:10001", mount, example.base, *command)


def containers(engine: Engine) -> list[str]:
    return engine.output("ps", "--all", "--format={{.Names}}", "--filter=name=molecule-example").splitlines()


def names(engine: Engine) -> set[str]:
    """Return the names of all containers, images and volumes of this scenario, the demo's among them."""
    images = engine.output("images", "--format={{.Repository}}:{{.Tag}}").splitlines()
    volumes = engine.output("volume", "ls", "--quiet").splitlines()
    return {name for name in (*containers(engine), *images, *volumes) if re.match("molecule.example", name)}


def identity(engine: Engine, kind: str, name: str) -> str:
    """Return what a container, image or volume has, and another one of its name has not."""
    found = engine.inspect(kind, name)
    of: str = found["CreatedAt" if kind == "volume" else "Id"]
    return of


@pytest.fixture(scope="module")
def snapshot(example: Example) -> Path:
    """A snapshot of the loans, on the controller."""
    output = works(example.play("--tags=backup"))
    (snapshot,) = example.snapshots()
    assert str(snapshot) in output
    return snapshot


def test_both_ways_to_install_take_the_roles_and_nothing_else(clone: Path, example: Example, tmp_path: Path) -> None:
    used = tmp_path / "used"
    shutil.copytree(clone, used)
    # What work in a clone leaves there.
    for name in (".venv/bin/python", "build/report.html", "backups/x.gz", ".mypy_cache/x", "roles/__pycache__/x.pyc"):
        (used / name).parent.mkdir(parents=True)
        (used / name).write_text("x")
    by_path, by_git = (
        install(f"{used}", tmp_path / "by_path"),
        example.collections / "ansible_collections/sqlite_demo/volumes",
    )
    files = {str(path.relative_to(by_git)) for path in by_git.rglob("*")}
    assert files == {str(path.relative_to(by_path)) for path in by_path.rglob("*")}
    assert {path.name for path in by_git.iterdir()} == {
        *("CHANGELOG.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md", "meta", "roles")
    }
    roles = {str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("roles/*") if path.is_dir()}
    assert {name for name in files if name.count("/") == 1 and name.startswith("roles/")} == roles
    said = json.loads((by_git / "MANIFEST.json").read_text())["collection_info"]
    assert said["dependencies"].keys() == {"community.docker"}


def test_example_speaks_of_nothing_of_the_demo() -> None:
    for path in (path for path in (REPOSITORY / "examples").rglob("*") if path.is_file()):
        assert not THE_DEMO.search(path.read_text()), path


def test_nothing_but_the_collection_gives_the_roles(example: Example, tmp_path: Path) -> None:
    result = Example(example.folder, tmp_path, example.base).play("--syntax-check")
    assert result.returncode != 0
    assert "the role 'sqlite_demo.volumes.image' was not found" in result.stderr


def test_run_leaves_an_image_a_volume_and_rows_but_no_container(engine: Engine, example: Example) -> None:
    assert loans(engine, example) == LOANS
    label = {"biblioteca.managed-by": "ansible"}
    assert label.items() <= engine.inspect("image", example.app)["Config"]["Labels"].items()
    assert engine.inspect("volume", example.app)["Labels"] == label
    assert containers(engine) == []


def test_another_run_shows_the_loans_and_changes_nothing(engine: Engine, example: Example) -> None:
    before = engine.inspect("volume", example.app), engine.inspect("image", example.app)
    result = example.play()
    # The name of the library is a build argument.
    for line in ("Biblioteca Machado de Assis: livros emprestados", "2: Grande Sertão: Veredas (Bento)"):
        assert line in works(result)
    assert recap(result)["changed"] == 0
    assert (engine.inspect("volume", example.app), engine.inspect("image", example.app)) == before
    assert loans(engine, example) == LOANS
    assert containers(engine) == []


def test_snapshot_holds_the_tables_and_says_which(example: Example, snapshot: Path, tmp_path: Path) -> None:
    database = tmp_path / "unpacked.db"
    database.write_bytes(gzip.decompress(snapshot.read_bytes()))
    with closing(sqlite3.connect(database)) as connection:
        assert [list(row) for row in connection.execute(QUERY)] == LOANS
    said = manifest(snapshot)
    assert said["tables"] == {"emprestimos": 3, "livros": 3}
    assert (said["volume"], said["database"]) == (example.app, "acervo.sqlite3")


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        pytest.param(["rm", "/data/acervo.sqlite3"], "", id="removed"),
        pytest.param(["sh", "-c", "echo lixo > /data/acervo.sqlite3"], "is damaged", id="overwritten"),
        pytest.param(["python3", "-c", FORGET], "holds 6 records", id="other records"),
    ],
)
def test_destroyed_data_is_restored_and_other_records_only_when_forced(
    engine: Engine, example: Example, snapshot: Path, command: list[str], refusal: str
) -> None:
    settings: dict[str, Any] = {"snapshot": str(snapshot)}
    change(engine, example, *command)
    if refusal:
        line = error(example.play("--tags=restore", **settings))
        assert refusal in line
        assert "restore_force" in line
        settings["restore_force"] = True
    assert recap(example.play("--tags=restore", **settings))["changed"] == 1
    assert loans(engine, example) == LOANS


def test_lost_volume_is_made_again_with_the_data_that_it_had(engine: Engine, example: Example, snapshot: Path) -> None:
    engine.output("volume", "rm", example.app)
    works(example.play("--tags=restore", snapshot=str(snapshot)))
    assert loans(engine, example) == LOANS


def test_application_goes_on_where_the_snapshot_was(engine: Engine, example: Example, snapshot: Path) -> None:
    assert recap(example.play("--tags=all,restore", snapshot=str(snapshot)))["changed"] == 0
    assert loans(engine, example) == LOANS


def test_what_is_no_snapshot_is_refused(engine: Engine, example: Example, snapshot: Path, tmp_path: Path) -> None:
    tampered = tmp_path / "tampered.gz"
    tampered.write_bytes(snapshot.read_bytes()[:-1] + b"x")
    shutil.copy(snapshot.with_suffix(".json"), tmp_path / "tampered.json")
    for wrong in (str(tampered), ""):
        line = error(example.play("--tags=restore", snapshot=wrong))
        assert f"restore_file ({wrong or 'not given'})" in line
    assert loans(engine, example) == LOANS


@pytest.mark.parametrize(
    ("tags", "settings", "words"),
    [
        pytest.param("all", {"image_context": "/nowhere"}, "(image_context)", id="context"),
        pytest.param("all", {"oneshot_volume": "molecule-example-nada"}, "(oneshot_volume)", id="volume"),
        pytest.param("all", {"oneshot_command": ["devolver"]}, "ERRO [ValueError]: use emprestar", id="command"),
        pytest.param("backup", {"backup_dir": "/dev/null"}, "backup_dir (/dev/null)", id="folder"),
    ],
)
def test_error_names_the_argument(
    engine: Engine, example: Example, tags: str, settings: dict[str, Any], words: str
) -> None:
    images = example.images(engine)
    assert words in error(example.play(f"--tags={tags}", **settings))
    assert example.images(engine) == images
    assert loans(engine, example) == LOANS
    assert containers(engine) == []


def test_what_takes_too_long_is_ended_and_gone(engine: Engine, example: Example) -> None:
    name = "molecule-example-lock"
    mount = f"--volume={example.app}:/data"
    engine.output("run", "--detach", f"--name={name}", mount, example.base, "python3", "-c", LOCK)
    wait_for(lambda: engine.output("logs", name) == "locked")
    try:
        assert "Timed out after 3 second" in error(example.play(oneshot_timeout=3))
        assert containers(engine) == [name]
    finally:
        engine.output("rm", "--force", name)
    assert loans(engine, example) == LOANS


def test_what_is_somebody_elses_is_refused_and_stays(engine: Engine, example: Example) -> None:
    other = Example(example.folder, example.collections, example.base, "molecule-example-outra")
    container = f"{other.app}-emprestar"
    engine.output("tag", example.base, other.app)
    engine.output("volume", "create", other.app)
    engine.output("create", f"--name={container}", example.base)
    # In the order in which the example comes upon them.
    theirs = {
        "image_name": ("image", other.app),
        "volume_adopt": ("volume", other.app),
        "(oneshot_container)": ("container", container),
    }
    identities = [identity(engine, *thing) for thing in theirs.values()]
    try:
        works(other.play("--tags=teardown"))
        assert [identity(engine, *thing) for thing in theirs.values()] == identities
        for (words, (kind, name)), before in zip(theirs.items(), identities, strict=True):
            assert words in error(other.play())
            assert identity(engine, kind, name) == before
            engine.output(kind, "rm", name)
    finally:
        for kind, name in theirs.values():
            engine.docker(kind, "rm", name)
        for image in other.images(engine):
            engine.docker("image", "rm", image)


def test_teardown_leaves_nothing_and_touches_nothing_else(engine: Engine, example: Example, snapshot: Path) -> None:
    # With the same label, but of another name; and made from the image, and so with its labels.
    volume, image = f"{example.app}-2", "molecule-example-filial:latest"
    engine.output("volume", "create", "--label=biblioteca.managed-by=ansible", volume)
    dockerfile = f"FROM {example.app}:latest\nUSER 0:0\n"
    subprocess.run(["docker", "build", "--quiet", f"--tag={image}", "-"], input=dockerfile, text=True, check=True)
    before, ours = names(engine), {example.app, *example.images(engine)}
    try:
        works(example.play("--tags=teardown"))
        assert names(engine) == before - ours
        assert {volume, image, demo.volume} <= names(engine)
        assert recap(example.play("--tags=teardown"))["changed"] == 0
        # The snapshots are the user's.
        assert snapshot.exists()
    finally:
        engine.output("image", "rm", image)
        engine.output("volume", "rm", volume)
