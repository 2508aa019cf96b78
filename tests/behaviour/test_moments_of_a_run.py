"""How a run stood every few seconds, as the journal keeps it and the report draws it."""

from __future__ import annotations

from pathlib import Path

from runs import echo, make

from streamgen.opening import open_run
from streamgen.report.facts import facts_of
from streamgen.virtual_time import run_virtual


def test_moments_of_two_sessions_are_one_timeline(tmp_path: Path) -> None:
    async def session(accept: int) -> None:
        recipe = make(
            echo(latency_s=1.0), 100, metrics=[{"type": "lengths", "column": "text"}],
            run={"accept": accept, "tickets_in_flight": 1},
        )  # fmt: skip
        async with open_run(recipe, directory=tmp_path) as run:
            await run.finish()

    run_virtual(lambda: session(12))
    run_virtual(lambda: session(20))
    moments = facts_of(tmp_path).moments
    assert [round(moment.seconds) for moment in moments] == [0, 5, 10, 12, 12, 17, 20]
    # The fifth answer and the note of the fifth second are due at once; the note was due first.
    assert [moment.accepted for moment in moments] == [0, 4, 9, 12, 12, 16, 20]
    assert moments[-1].tokens == moments[3].tokens * 20 // 12
