"""Retention removes a snapshot only where enough others are proven newer, and a folder of others is not written to."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

KEEP = Path(__file__).parents[1] / "roles/backup/files/keep.py"
SERIES: dict[str, Any] = {"host": "localhost", "engine": {"id": "A"}, "volume": "data", "database": "app.db"}
DATA = b"a snapshot"


def run(*arguments: object, given: str = "", umask: int = -1) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(KEEP), *map(str, arguments)]
    return subprocess.run(command, input=given, check=False, capture_output=True, text=True, timeout=60, umask=umask)


def result(process: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert process.returncode == 0, process.stderr
    value: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return value


def refusal(process: subprocess.CompletedProcess[str]) -> str:
    assert (process.returncode, process.stdout) == (1, "")
    assert process.stderr.count("\n") == 1
    assert "Traceback" not in process.stderr
    return process.stderr


def begin(folder: Path, **other: Any) -> dict[str, Any]:
    """Begin a backup, and let its data arrive."""
    begun = result(run("begin", folder, json.dumps(SERIES | other)))
    Path(begun["part"]).write_bytes(DATA)
    return begun


def words(begun: dict[str, Any], **other: Any) -> str:
    said = {"after": begun["after"], "sha256": hashlib.sha256(DATA).hexdigest(), "bytes": len(DATA), "rows": 3}
    return json.dumps(SERIES | said | other)


def finish(folder: Path, begun: dict[str, Any], keep: int, **other: Any) -> dict[str, Any]:
    return result(run("finish", begun["part"], folder, keep, given=words(begun, **other)))


def backup(folder: Path, keep: int, **other: Any) -> dict[str, Any]:
    return finish(folder, begin(folder, **other), keep, **other)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def numbers(folder: Path) -> list[int]:
    return sorted(int(name.rsplit("@")[-1][:6]) for name in names(folder) if name.endswith(".gz"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups" / "lo[c]al*"


@pytest.mark.parametrize("umask", [0, 0o077])
def test_snapshot_and_manifest_are_their_owners_alone(folder: Path, umask: int) -> None:
    begun = result(run("begin", folder, json.dumps(SERIES), umask=umask))
    part = Path(begun["part"])
    assert (begun["after"], part.parent.parent) == (0, folder)
    part.write_bytes(DATA)
    part.chmod(0o666)
    kept = result(run("finish", part, folder, 7, given=words(begun), umask=umask))
    snapshot = Path(kept["file"])
    assert (kept["number"], kept["removed"], snapshot.parent) == (1, [], folder)
    manifest = snapshot.with_suffix(".json")
    assert names(folder) == [snapshot.name, manifest.name]
    assert snapshot.name.startswith("data@app.db@000001-")
    assert snapshot.read_bytes() == DATA
    said = json.loads(manifest.read_text())
    assert snapshot.stem.endswith(said.pop("created"))
    assert said == json.loads(words(begun)) | {"number": 1}
    assert [path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())] == [0o700, 0o600, 0o600, 0o600]


def test_oldest_go_beyond_those_to_keep(folder: Path) -> None:
    for _ in range(3):
        backup(folder, 0)
    assert numbers(folder) == [1, 2, 3]
    removed = backup(folder, 2)["removed"]
    assert [Path(path).name.split("@")[2][:6] for path in removed] == ["000002", "000001"]
    assert numbers(folder) == [3, 4]
    assert len(names(folder)) == 4, "manifests went with their snapshots"


def test_two_backups_at_once_leave_both_and_the_next_one_neither(folder: Path) -> None:
    first, second = begin(folder), begin(folder)
    assert finish(folder, first, 1)["removed"] == []
    assert finish(folder, second, 1)["removed"] == []
    assert numbers(folder) == [1, 2]
    backup(folder, 1)
    assert numbers(folder) == [3]


def test_two_that_finish_at_once_get_two_numbers(folder: Path) -> None:
    begun = [begin(folder) for _ in range(8)]
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda each: finish(folder, each, 1), begun))
    assert sorted(each["number"] for each in found) == list(range(1, 9))
    assert numbers(folder) == list(range(1, 9))


def test_clock_that_is_set_back_changes_nothing(folder: Path) -> None:
    snapshot = Path(backup(folder, 1)["file"])
    said = json.loads(snapshot.with_suffix(".json").read_text())
    said["created"] = "29991231T000000.000000Z"
    later = snapshot.with_name(f"data@app.db@000001-{said['created']}.gz")
    snapshot.rename(later)
    snapshot.with_suffix(".json").unlink()
    later.with_suffix(".json").write_text(json.dumps(said))
    os.utime(later, (2**32, 2**32))
    assert backup(folder, 1)["removed"] == [str(later)]


@pytest.mark.parametrize(
    "other", [{"engine": {"id": "B"}}, {"host": "h"}, {"volume": "data2"}, {"database": "*"}, {"database": "a/../b"}]
)
def test_another_series_is_not_pruned(folder: Path, other: dict[str, Any]) -> None:
    ours, theirs = backup(folder, 1)["file"], backup(folder, 1, **other)["file"]
    backup(folder, 1)
    assert not Path(ours).exists()
    assert Path(theirs).exists()
    assert Path(theirs).parent == folder


def test_one_that_is_not_whole_does_not_count(folder: Path) -> None:
    backup(folder, 0)
    Path(backup(folder, 0)["file"]).write_bytes(b"")
    backup(folder, 2)
    assert numbers(folder) == [1, 2, 3]
    backup(folder, 2)
    assert numbers(folder) == [3, 4]


def test_what_does_not_say_its_order_stays(folder: Path) -> None:
    others = {
        "notes.gz": b"",
        "data@app.db@20200101T000000.000000Z.gz": DATA,
        "data@app.db@20200101T000000.000000Z.json": json.dumps({**SERIES, "rows": 3, "bytes": 10}).encode(),
        "list.json": b"[]",
        "deep.json": b"[" * 100_000,
        "text.json": b"\xff",
        "data@app.db@000000-x.json": json.dumps({**SERIES, "number": "0", "after": 0, "bytes": 1}).encode(),
    }
    backup(folder, 1)
    for name, content in others.items():
        (folder / name).write_bytes(content)
    (folder / "folder.json").mkdir()
    (folder / "link.json").symlink_to("list.json")
    os.mkfifo(folder / "pipe.json")
    backup(folder, 1)
    backup(folder, 1)
    assert set(others) | {"folder.json", "link.json", "pipe.json"} < set(names(folder))


def test_one_with_a_name_of_its_owners_stays(folder: Path) -> None:
    snapshot = Path(backup(folder, 1)["file"])
    snapshot.rename(folder / "mine.gz")
    snapshot.with_suffix(".json").rename(folder / "mine.json")
    assert backup(folder, 1)["number"] == 2
    backup(folder, 1)
    assert {"mine.gz", "mine.json"} < set(names(folder))


def test_what_was_damaged_on_its_way_is_not_kept(folder: Path) -> None:
    backup(folder, 1)
    before = names(folder)
    for harm in (DATA[1:], DATA + b"x", DATA[::-1]):
        begun = begin(folder)
        Path(begun["part"]).write_bytes(harm)
        assert "damaged on its way" in refusal(run("finish", begun["part"], folder, 1, given=words(begun)))
        assert names(folder) == before


def test_link_in_place_of_the_part_is_not_followed(folder: Path, tmp_path: Path) -> None:
    begun = begin(folder)
    (tmp_path / "other").write_bytes(DATA)
    Path(begun["part"]).unlink()
    Path(begun["part"]).symlink_to(tmp_path / "other")
    refusal(run("finish", begun["part"], folder, 1, given=words(begun)))
    assert names(folder) == []
    assert (tmp_path / "other").read_bytes() == DATA


def test_part_elsewhere_is_refused_and_left(folder: Path, tmp_path: Path) -> None:
    begun = begin(folder)
    part = tmp_path / "other" / ".part-x" / "snapshot.gz"
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA)
    assert "not where begin said" in refusal(run("finish", part, folder, 1, given=words(begun)))
    assert part.exists()


def test_nothing_is_overwritten(folder: Path, tmp_path: Path) -> None:
    begun = begin(folder)
    # The time in the name is not known before: make all names of this number taken.
    program = KEEP.read_text().replace('.strftime("%Y%m%dT%H%M%S.%fZ")', '.strftime("same")')
    (tmp_path / "keep.py").write_text(program)
    (folder / "data@app.db@000001-same.gz").write_bytes(b"mine")
    process = subprocess.run(
        [sys.executable, tmp_path / "keep.py", "finish", begun["part"], folder, "1"],
        input=words(begun),
        env=os.environ | {"PYTHONPATH": str(KEEP.parents[2] / "oneshot/files")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert "there already" in refusal(process)
    assert (folder / "data@app.db@000001-same.gz").read_bytes() == b"mine"


def test_next_backup_removes_what_an_interrupted_play_left(folder: Path, tmp_path: Path) -> None:
    play = tmp_path / "ansible-playbook"
    play.write_text("import subprocess, sys; subprocess.run(sys.argv[1:], check=True)")
    for series in (SERIES, SERIES | {"volume": "other"}):
        # The process that is the play has ended when the next backup begins.
        command = [sys.executable, str(play), sys.executable, str(KEEP), "begin", str(folder), json.dumps(series)]
        subprocess.run(command, check=True, capture_output=True)
    # Somebody's own, and one of a play of another controller.
    foreign = {".part-mine", ".part-x.0-1"}
    for name in foreign:
        (folder / name).mkdir()
    new = begin(folder)
    left = {path.name for path in folder.glob(".part-*")}
    assert left == {Path(new["part"]).parent.name} | foreign


def test_word_of_another_program_is_no_play(folder: Path, tmp_path: Path) -> None:
    play = tmp_path / "ansible-playbook"
    play.write_text("import subprocess, sys; subprocess.run(sys.argv[1:], check=True)")
    begin = [sys.executable, str(KEEP), "begin", str(folder), json.dumps(SERIES)]
    # A play, which ends, and what follows it: of a program that has such a word, as Molecule gives to pytest.
    program = (
        f"import subprocess; [subprocess.run(c, check=True) for c in {[[sys.executable, str(play), *begin], begin]}]"
    )
    subprocess.run([sys.executable, "-c", program, "--connection", "ansible"], check=True, capture_output=True)
    assert len(names(folder)) == 1


@pytest.mark.parametrize("program", ["ansible-playbook", "ansible", "my folder/ansible-console"])
def test_a_play_is_as_long_as_ansible_lives(folder: Path, tmp_path: Path, program: str) -> None:
    playbook = tmp_path / program
    playbook.parent.mkdir(exist_ok=True)
    playbook.write_text(
        "import subprocess, sys\n"
        'subprocess.run(["sh", "-c", "\\"$@\\"; exit 0", "sh", *sys.argv[1:]], check=True)\n'
        "print('done', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, str(playbook), sys.executable, str(KEEP), "begin", str(folder), json.dumps(SERIES)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline().startswith("{")
    assert process.stdout.readline() == "done\n"
    begin(folder)
    assert len(names(folder)) == 2
    process.kill()
    process.communicate()
    begin(folder)
    assert len(names(folder)) == 2


def test_damaged_snapshot_does_not_count_as_newer(folder: Path) -> None:
    first, second = backup(folder, 0), backup(folder, 0)
    Path(second["file"]).write_bytes(bytes(len(DATA)))
    assert backup(folder, 2)["removed"] == []
    assert backup(folder, 2)["removed"] == [second["file"], first["file"]]


def test_manifest_may_be_larger_than_an_argument(folder: Path) -> None:
    tables = {f"tabela_de_nome_bem_comprido_{number}": number for number in range(5000)}
    kept = finish(folder, begin(folder), 7, tables=tables)
    assert result(run("verify", kept["file"]))["tables"] == tables


def test_manifest_that_is_a_pipe_is_not_waited_for(folder: Path) -> None:
    kept = Path(backup(folder, 7)["file"])
    kept.with_suffix(".json").unlink()
    os.mkfifo(kept.with_suffix(".json"))
    assert "manifest" in refusal(run("verify", kept))


def test_name_too_long_for_a_file_is_refused_before_the_snapshot(folder: Path) -> None:
    line = refusal(run("begin", folder, json.dumps(SERIES | {"volume": "v" * 150, "database": "d" * 120})))
    assert "too long" in line


def test_folders_that_are_made_are_their_owners_alone(tmp_path: Path) -> None:
    result(run("begin", tmp_path / "new/folder", json.dumps(SERIES), umask=0))
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "new", tmp_path / "new/folder")] == [0o700, 0o700]


def test_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("theirs")
    for name in ("link", "link/"):
        assert "link" in refusal(run("begin", f"{tmp_path}/{name}", json.dumps(SERIES)))
    assert list((tmp_path / "theirs").iterdir()) == []


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_folder_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(mode)
    assert "chmod go-w" in refusal(run("begin", tmp_path / "shared", json.dumps(SERIES)))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder to another user")
def test_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o700)
    os.chown(tmp_path / "theirs", 12345, 12345)
    assert "chown" in refusal(run("begin", tmp_path / "theirs", json.dumps(SERIES)))


def test_lock_that_is_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    (folder / ".lock").symlink_to(tmp_path / "other")
    refusal(run("begin", folder, json.dumps(SERIES)))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "arguments", [[], ["begin"], ["other", "x", "{}"], ["begin", "FOLDER", "[]"], ["begin", "FOLDER", "{"]]
)
def test_wrong_arguments_are_one_line(folder: Path, arguments: list[str]) -> None:
    refusal(run(*(argument.replace("FOLDER", str(folder)) for argument in arguments)))
    assert not folder.exists()


# A step of a backup, of one of two engines: begin one more, or finish the one that began at some place in the order.
STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.sampled_from("AB")), max_size=12)


@settings(max_examples=10, deadline=None)
@given(steps=STEPS, keep=st.integers(1, 2))
def test_whatever_overlaps_enough_that_began_later_are_left(steps: list[tuple[bool, int, str]], keep: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "folder"
        under_way: list[tuple[int, str, dict[str, Any]]] = []
        times: dict[str, tuple[int, int, str]] = {}  # of each snapshot: when it began and ended, and its engine
        for time, (starts, place, engine) in enumerate(steps):
            if starts or not under_way:
                under_way.append((time, engine, begin(folder, engine=engine)))
                continue
            began, engine, begun = under_way.pop(place % len(under_way))
            ended = finish(folder, begun, keep, engine=engine)
            times[ended["file"]] = (began, time, engine)
            there = {str(path) for path in folder.glob("*.gz")}
            assert there | set(ended["removed"]) >= {ended["file"]} | there
            for _, end, engine in (times[path] for path in times.keys() - there):
                assert sum(times[path][0] > end and times[path][2] == engine for path in there) >= keep
