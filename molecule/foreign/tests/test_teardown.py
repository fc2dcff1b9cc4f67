"""What teardown waits for, leaves and removes: the last of this scenario's tests, for it leaves nothing."""

from __future__ import annotations

from shared.demo import Demo, error, recap, said
from shared.engine import Engine
from shared.volumes import DEFAULT_ROWS

demo = Demo("foreign")


def test_teardown_waits_for_who_uses_the_volume(engine: Engine) -> None:
    name = "molecule-foreign-user"
    engine.output("create", f"--name={name}", f"--volume={demo.volume}:/data", engine.base(demo.image), "true")
    before = engine.state()
    try:
        result = demo.play("teardown.yml")
        assert name in error(result)
        assert engine.state() == before
    finally:
        engine.output("rm", name)


def test_teardown_keeps_the_volume_when_asked_and_is_done_the_second_time(engine: Engine) -> None:
    result = demo.play("teardown.yml", demo_keep_volume=True)
    assert f"The volume {demo.volume} stays: its data is kept, as asked" in said(result)
    assert demo.play("site.yml", "--tags=build,read").returncode == 0
    assert engine.rows(demo.image, demo.volume) == DEFAULT_ROWS
    assert demo.play("teardown.yml").returncode == 0
    assert engine.inspect("volume", demo.volume) == {}
    assert [
        line for line in engine.state()["images"] if line.startswith((f"{demo.image}:", f"{demo.image}-base:"))
    ] == []
    assert recap(demo.play("teardown.yml"))["changed"] == 0
