# SPDX-License-Identifier: Apache-2.0
"""What is made of the figures of the chain's benchmark."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from dev.benchmarks.chain import Scenario, tables
from dev.benchmarks.chain_plan import ALONE, CROWD, ONE
from dev.benchmarks.chain_runs import CatchUp, Latency, Load

LOAD = Load(
    ONE,
    watchers=1,
    contracts=1,
    seconds=40.0,
    newest_calls=20,
    log_calls=20,
    late_seconds=0.012,
    late_at_start_seconds=0.2,
    resident_bytes=150_000_000,
)
CAUGHT_UP = CatchUp(10, "hint", blocks=1_000, answered=100, refused=1, told=11, announced=11)
LATENCIES = (Latency(2.0, 0.5), Latency(7.9, 1.5), Latency(4.0, 0.7))


def figures_of(
    *,
    latencies: Sequence[Latency] = LATENCIES,
    crowd: Load | None = None,
    catching_up: Sequence[CatchUp] = (CAUGHT_UP,),
) -> dict[str, Any]:
    many = replace(LOAD, watchers=100, contracts=5)
    loads = [LOAD, crowd or replace(many, side=CROWD), replace(many, side=ALONE, newest_calls=2_000, log_calls=2_000)]
    figures = {
        "scenario": asdict(Scenario()),
        "versions": {},
        "latencies": [asdict(one) for one in latencies],
        "loads": [asdict(one) for one in loads],
        "catching_up": [asdict(one) for one in catching_up],
    }
    crossed: dict[str, Any] = json.loads(json.dumps(figures))
    return crossed


def goals(figures: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    _, _, table = tables(figures)
    return {row[0]: tuple(row[1:]) for row in table.rows}


def test_each_kind_of_watching_is_counted_by_the_minute() -> None:
    load, _, _ = tables(figures_of())

    assert load.rows[0] == ("one watcher", "1", "1", "30", "30", "60", "0.012", "0.200", "150")
    assert load.rows[1][1:3] == ("100", "500")
    assert load.rows[2][5] == "6,000"


def test_an_event_may_come_three_seconds_after_the_poll_interval() -> None:
    what = "seconds from confirmation to event, 3 events"

    assert goals(figures_of())[what] == ("4.0 (2.0 to 7.9)", "poll interval 5", "at most 8", "yes")
    late = [*LATENCIES[:2], Latency(8.1, 0.5)]
    assert goals(figures_of(latencies=late))[what][-1] == "no"


def test_how_soon_the_dag_runs_is_told_without_a_goal() -> None:
    assert goals(figures_of())["seconds from event to running DAG"] == ("0.7 (0.5 to 1.5)", "", "", "")


def test_a_crowd_is_held_against_one_watcher() -> None:
    calls, late = "calls a minute of 100 watchers, against one", "seconds that the loop is late, 100 watchers"
    assert goals(figures_of())[calls] == ("60", "60", "at most 1.1 times", "yes")
    assert goals(figures_of())[late] == ("0.012", "0.012", "under 0.1", "yes")

    costly = replace(LOAD, side=CROWD, watchers=100, newest_calls=25, late_seconds=0.1)
    assert goals(figures_of(crowd=costly))[calls][-1] == "no"
    assert goals(figures_of(crowd=costly))[late][-1] == "no"


def test_catching_up_in_more_than_the_fewest_calls_misses_its_goal() -> None:
    what = "calls for 1,000 blocks, 10 a call, hint"
    assert goals(figures_of())[what] == ("100 and 1 refused", "100", "the fewest that are answered", "yes")

    assert goals(figures_of(catching_up=[replace(CAUGHT_UP, answered=101)]))[what][-1] == "no"
    assert goals(figures_of(catching_up=[replace(CAUGHT_UP, told=10)]))[what][-1] == "no"


def test_the_fewest_calls_cover_the_last_blocks_too() -> None:
    assert replace(CAUGHT_UP, limit=300).fewest == 4
    assert replace(CAUGHT_UP, limit=2_000).fewest == 1


def test_what_was_not_measured_is_not_in_the_tables() -> None:
    figures = {**figures_of(), "latencies": [], "loads": [], "catching_up": []}

    assert [len(table.rows) for table in tables(figures)] == [0, 0, 0]
