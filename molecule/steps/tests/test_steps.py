"""Each step alone; and one clear line, with nothing left behind, where it cannot work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from shared.demo import Demo, error
from shared.engine import Engine
from shared.system import wait_for
from shared.volumes import DEFAULT_ROWS, LEAVE_HOT_JOURNAL, change

demo = Demo("steps")


@pytest.fixture
def lock(engine: Engine) -> Iterator[str]:
    yield from engine.lock(demo.image, demo.volume)


def absent(engine: Engine) -> bool:
    return engine.inspect("container", demo.writer) == engine.inspect("container", demo.reader) == {}


def test_check_mode_changes_nothing_where_all_is_there(engine: Engine) -> None:
    before = engine.state()
    for playbook in ("site.yml", "teardown.yml"):
        assert demo.play(playbook, "--check", "--diff").returncode == 0
    assert engine.state() == before


@pytest.mark.usefixtures("lock")
def test_locked_database_is_one_line(engine: Engine) -> None:
    assert "ERRO [OCUPADO]: /data/demo.db" in error(demo.play("site.yml", "--tags=write"))
    assert "ERRO [OCUPADO]: /data/demo.db" in error(demo.play("site.yml", "--tags=read"))
    assert absent(engine)


@pytest.mark.usefixtures("lock")
@pytest.mark.parametrize(("step", "role"), [("write", "writer"), ("read", "reader")])
def test_killed_container_is_one_line(engine: Engine, step: str, role: str) -> None:
    name = getattr(demo, role)
    play = demo.start("site.yml", f"--tags={step}")
    wait_for(lambda: engine.inspect("container", name).get("State", {}).get("Running"))
    engine.output("kill", name)
    output, _ = play.communicate(timeout=60)
    assert f"The container {name} was ended by signal 9" in output
    assert "what it had committed is in the volume, and nothing is lost" in output
    assert absent(engine)


@pytest.mark.usefixtures("lock")
def test_time_out_removes_the_container(engine: Engine) -> None:
    for step in ("write", "read"):
        assert "Timed out after 2 second" in error(demo.play("site.yml", f"--tags={step}", oneshot_timeout=2))
        assert absent(engine)


def test_damaged_database_is_one_line_and_stays_as_it_was(engine: Engine) -> None:
    look = "import hashlib; print(hashlib.sha256(open('/data/lixo.db', 'rb').read()).hexdigest())"
    mount = f"--volume={demo.volume}:/data"
    engine.output("run", "--rm", mount, engine.base(demo.image), "sh", "-c", "yes lixo | head -c 9999 > /data/lixo.db")
    before = engine.python(demo.image, demo.volume, look)
    for step in ("write", "read"):
        result = demo.play("site.yml", f"--tags={step}", demo_database="lixo.db")
        assert "ERRO [CORROMPIDO]: /data/lixo.db" in error(result)
        assert "Traceback" not in result.stdout
    assert engine.python(demo.image, demo.volume, look) == before
    assert absent(engine)


def test_writer_killed_in_the_middle_is_recovered_by_the_next(engine: Engine) -> None:
    change(engine, demo, LEAVE_HOT_JOURNAL)
    assert "ERRO [RECUPERAR]: /data/demo.db" in error(demo.play("site.yml", "--tags=read"))
    result = demo.play("site.yml")
    assert result.returncode == 0, result.stdout
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS


def test_volume_that_the_user_may_not_write_is_one_line(engine: Engine) -> None:
    mount = f"--volume={demo.volume}:/data"
    engine.output("run", "--rm", mount, engine.base(demo.image), "chown", "0:0", "/data", "/data/demo.db")
    assert "ERRO [SEM_PERMISSAO]: /data/demo.db" in error(demo.play("site.yml", "--tags=write", demo_clients=["Davi"]))
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS
    engine.output("run", "--rm", mount, engine.base(demo.image), "chown", "10001:10001", "/data", "/data/demo.db")


def test_each_step_does_its_own_and_says_what_it_needs(engine: Engine) -> None:
    assert demo.play("teardown.yml").returncode == 0
    clean = engine.state()
    for playbook in ("site.yml", "playbooks/backup.yml", "teardown.yml"):
        assert demo.play(playbook, "--check", "--diff").returncode == 0
    assert "There is no image" in error(demo.play("site.yml", "--tags=write"))
    assert "There is no image" in error(demo.play("site.yml", "--tags=read"))
    assert engine.state() == clean

    assert demo.play("site.yml", "--tags=build").returncode == 0
    assert engine.inspect("image", demo.image)
    assert engine.inspect("volume", demo.volume) == {}
    assert "There is no volume" in error(demo.play("site.yml", "--tags=read"))
    assert engine.inspect("volume", demo.volume) == {}

    assert demo.play("site.yml", "--tags=write").returncode == 0
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS
    assert "        1: Alice\n        2: Bruno\n        3: Carla\n" in demo.play("site.yml", "--tags=read").stdout
