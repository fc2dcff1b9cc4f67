"""An engine that is killed loses nothing that a writer acknowledged, and site.yml works again once it is back."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from functools import partial

from shared.demo import Demo, recap, works
from shared.engine import Engine
from shared.killed_writers import COUNT_ROWS, Figures, Tally, kill_writer
from shared.private_engine import PrivateEngine
from shared.system import wait_for
from shared.volumes import fill


def restart(private: PrivateEngine, engine: Engine) -> None:
    private.tell("start")
    wait_for(lambda: engine.docker("version").rc == 0)


def test_volume_and_rows_outlive_the_engine(
    engine: Engine, demo: Demo, private: PrivateEngine, rounds: int, figures: Figures
) -> None:
    moments = random.Random(0)  # noqa: S311 - it is to be repeatable
    fill(engine, demo, '["Alice", "Bruno", "Carla"]')
    before = engine.state()
    tally, plays = Tally(), []
    for number in range(max(4, rounds // 20)):
        # All processes, as when the machine goes down; or the engine and its containerd alone.
        crash = "kill all" if number % 4 < 2 else "kill"
        name, lines = f"engine-{number}", None
        if number % 2:
            play = demo.start("site.yml")
            time.sleep(moments.uniform(0.5, 5))
            private.tell(crash)
            output, _ = play.communicate(timeout=600)
            assert "Traceback" not in output
            plays.append(play.returncode)
        else:
            lines = kill_writer(demo, name, moments.uniform(0, 0.5), partial(private.tell, crash))
        restart(private, engine)
        works(demo.play("site.yml"))
        intact, found = json.loads(engine.python(demo.image, demo.volume, COUNT_ROWS))
        if lines is not None:
            tally.judge(name, lines, intact, Counter(found))
        assert intact
        assert found[""] == 3
        assert engine.state() == before
        if tally.expected.total() > 20_000:
            fill(engine, demo, '["Alice", "Bruno", "Carla"]')
            tally.expected = Counter({"": 3})
    figures.append(
        (
            "engine killed (SIGKILL of `dockerd` and its containerd, or of all), started again, then `site.yml`",
            f"{tally.rounds} times under a writer ({tally.acknowledged} rows acknowledged), "
            f"{len(plays)} times during `site.yml`",
            f"{tally.lost} acknowledged rows lost, {tally.torn} rows of half a batch, {tally.damaged} integrity "
            f"failures, volume there and `site.yml` works each time; {plays.count(0)} of the plays had ended before",
        )
    )
    tally.assert_sound()
    assert plays.count(0) < len(plays), "some plays were hit"


def test_site_again_and_again(engine: Engine, demo: Demo, rounds: int, figures: Figures) -> None:
    fill(engine, demo, '["Alice", "Bruno", "Carla"]')
    before = engine.state()
    runs = max(3, rounds // 4)
    changes = [recap(demo.play("site.yml"))["changed"] for _ in range(runs)]
    assert changes == [0] * runs
    assert engine.rows(demo.image, demo.volume) == [[1, "Alice"], [2, "Bruno"], [3, "Carla"]]
    assert engine.state() == before
    figures.append(("`site.yml` again and again", f"{runs} times", "three rows, no change, nothing left over"))
