# SPDX-License-Identifier: Apache-2.0
"""What the scale benchmark shows of a run: its figures, its tables and its picture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from dev.benchmarks.scale.picture import draw
from dev.benchmarks.scale.plan import Side
from dev.benchmarks.scale.run import Run
from dev.benchmarks.scale.settings import Scenario
from dev.benchmarks.scale.summary import cpu_used, summarize
from dev.benchmarks.scale.tables import BAR_LENGTH, bar, tables
from dev.benchmarks.scale.waits import Wait
from dev.benchmarks.scale.watch import UNASSIGNED, Footprint, Sample

BEGAN = 1_000.0
FINISHED = Wait(
    Side.TRIGGERER,
    "success",
    submitted_at=BEGAN + 10,
    job_ended_at=BEGAN + 310,
    seen_at=BEGAN + 340,
    ended_at=BEGAN + 342,
    calls=4,
    calls_after=0,
)
THROUGH_WORKER = replace(FINISHED, side=Side.WORKERS, ended_at=BEGAN + 346)
FIRST = Sample(
    at=BEGAN,
    states={"none": 3},
    triggers={},
    moved=1,
    database_connections=7,
    footprints={"triggerer-1": Footprint(200_000_000, 12), "triggerer-2": Footprint(200_000_000, 12)},
    cpu_seconds={"triggerer-1": 5.0, "triggerer-2": 5.0, "scheduler": 10.0, "postgresql": 4.0},
)
MIDDLE = Sample(
    at=BEGAN + 100,
    states={"deferred": 3},
    triggers={"1": 2, "4": 1, UNASSIGNED: 1},
    moved=1,
    database_connections=16,
    footprints={"triggerer-1": Footprint(400_000_000, 2_600), "triggerer-2": Footprint(300_000_000, 12)},
    cpu_seconds={"triggerer-1": 9.0, "triggerer-2": 6.0, "scheduler": 14.0, "postgresql": 5.0},
)
LAST = Sample(
    at=BEGAN + 350,
    states={"success": 3},
    triggers={},
    moved=1,
    database_connections=9,
    footprints={"triggerer-2": Footprint(310_000_000, 12)},
    cpu_seconds={"triggerer-2": 8.0, "scheduler": 20.0, "postgresql": 6.0},
)
RUN = Run(
    waits=[FINISHED, FINISHED, THROUGH_WORKER],
    samples=[FIRST, MIDDLE, LAST],
    began_at=BEGAN,
    requested_at=BEGAN + 5,
    killed_at=None,
    cpu_at_rest={"triggerer-1": 0.01, "triggerer-2": 0.01, "scheduler": 0.02, "postgresql": 0.5},
    died=[],
)


def figures_of(run: Run = RUN, scenario: Scenario | None = None) -> dict[str, Any]:
    crossed: dict[str, Any] = json.loads(json.dumps(summarize(scenario or Scenario(), run)))
    return crossed


def goals(run: Run) -> dict[str, str]:
    *_, table = tables(figures_of(run))
    return {row[0]: row[-1] for row in table.rows}


def test_each_side_and_each_part_of_the_delay_has_a_row() -> None:
    delays, *_ = tables(figures_of())

    assert ("job's end to task's end, all in the triggerer", "32.0", "32.0", "32.0", "32.0", "2") in delays.rows
    assert ("that poll to task's end, through workers", "6.0", "6.0", "6.0", "6.0", "1") in delays.rows
    assert len(delays.rows) == 6


def test_a_killed_triggerer_counts_until_it_was_last_seen() -> None:
    assert cpu_used(RUN.samples) == {"triggerer-1": 4.0, "triggerer-2": 3.0, "scheduler": 10.0, "postgresql": 2.0}


def test_what_it_took_is_without_the_database_and_without_rest() -> None:
    _, _, took, _ = tables(figures_of())

    assert took.rows[0][:3] == ("scheduler", "10.0", "3,333.3")
    assert ("triggerer-1", "4.0", "1,333.3", "400", "2,600") in took.rows
    assert "17 CPU s, less what it takes at rest (14): 1,000 ms a wait" in took.notes[0]
    assert "at most 3, shared as 2 and 1" in took.notes[1]
    assert took.notes[3] == "Waits that went from one triggerer to the other: 3."


def test_a_histogram_shows_every_wait_of_the_triggerers() -> None:
    _, shown, _, _ = tables(figures_of())

    assert sum(int(count) for _, count, _ in shown.rows) == 2
    assert shown.rows[-1][:2] == ("32 to 34", "2")


def test_the_longest_bar_is_that_of_the_largest_number() -> None:
    assert bar(10, [5, 10]) == "█" * BAR_LENGTH
    assert bar(5, [5, 10]).rstrip() == "█" * (BAR_LENGTH // 2)
    assert bar(0, [0, 10]).strip() == ""


def test_all_goals_are_reached_where_all_waits_end_well() -> None:
    assert set(goals(RUN).values()) == {"yes", ""}


def test_a_wait_that_is_lost_or_early_misses_a_goal() -> None:
    lost = replace(FINISHED, state="deferred", ended_at=None)
    early = replace(FINISHED, ended_at=BEGAN + 309)
    missed = goals(replace(RUN, waits=[FINISHED, lost, early], died=["triggerer-2"]))

    assert [what for what, reached in missed.items() if reached == "no"] == [
        "waits that ended well",
        "tasks that ended before their refresh",
        "waits that never ended",
        "components that ended by themselves",
    ]


def test_the_picture_is_drawn_also_where_nothing_ended(tmp_path: Path) -> None:
    lost = replace(FINISHED, state=None, submitted_at=None, job_ended_at=None, seen_at=None, ended_at=None)
    for name, run in {"all": replace(RUN, killed_at=BEGAN + 99), "none": replace(RUN, waits=[lost])}.items():
        file = tmp_path / "folder" / f"{name}.png"
        draw(figures_of(run), file)

        assert file.read_bytes().startswith(b"\x89PNG")
