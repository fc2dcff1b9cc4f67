"""A writer that is killed in the middle of a transaction loses nothing that it acknowledged."""

from __future__ import annotations

from shared.demo import Demo
from shared.engine import Engine
from shared.killed_writers import Figures, kill_writers


def test_what_was_acknowledged_is_there_and_the_rest_wholly_or_not_at_all(
    engine: Engine, demo: Demo, rounds: int, figures: Figures
) -> None:
    tally = kill_writers(engine, demo, rounds)
    figures.append(
        (
            "writer killed (`docker kill`) at a random moment, read back by reader, writer, reader",
            f"{tally.rounds} rounds, {tally.acknowledged} rows acknowledged",
            f"{tally.hit} kills hit a transaction, {tally.hot} of them left a hot journal, to be rolled back; "
            f"{tally.lost} acknowledged rows lost, {tally.torn} rows of half a batch, "
            f"{tally.damaged} integrity failures, {tally.wrong} wrong codes",
        )
    )
    tally.assert_sound()
    assert tally.hit >= rounds / 20, "the kills hit transactions"
    assert tally.hot > 0, "some of them when the database was half-written"
