# SPDX-License-Identifier: Apache-2.0
"""What is made of the figures of the tokens' benchmark."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from dev.benchmarks.refreshing_process import Outcome
from dev.benchmarks.tables import Table
from dev.benchmarks.token_kill import Kill
from dev.benchmarks.token_runs import Run
from dev.benchmarks.token_server import Seen
from dev.benchmarks.tokens import Scenario, tables

SEEN = Seen(
    calls=201,
    refused=0,
    compute_units=108_160,
    seconds=52.6,
    cpu_seconds=0.4,
    connections=7,
    tokens=10_000,
    again=0,
)
OUTCOME = Outcome(refreshed=10_000, seconds=1.0, cpu_seconds=0.5, idle_bytes=130_000_000, peak_bytes=140_000_000)
RUN = Run(10_000, OUTCOME, SEEN)
COUNTS = {"tokens": 10_000, "refreshed": 10_000, "stale": 0, "failed": 0}


def figures_of(
    *, one_by_one: float = 20.0, budget: Run | None = None, many: Run = RUN, kill: Kill | None = None
) -> dict[str, Any]:
    budget = budget or replace(RUN, outcome=replace(OUTCOME, seconds=52.7))
    speeds = [
        {"one_by_one": one_by_one, "by_the_hundred": rate, "operator": asdict(RUN)}
        for rate in (900.0, 1_000.0, 1_100.0)
    ]
    figures = {
        "scenario": asdict(Scenario()),
        "versions": {"airflow-provider-alchemy": "1.2.3"},
        "speed": speeds,
        "memory": [{"is_listed": True, "few": asdict(RUN), "many": asdict(many)}],
        "budget": asdict(budget),
        "kills": [asdict(kill)] if kill else [],
    }
    crossed: dict[str, Any] = json.loads(json.dumps(figures))
    return crossed


def goals(figures: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    _, table = tables(figures)
    assert isinstance(table, Table)
    return {row[0]: tuple(row[1:]) for row in table.rows}


def test_the_speed_of_each_side_is_the_median_of_the_rounds() -> None:
    speed, _ = tables(figures_of())
    assert [row[2] for row in speed.rows] == ["20.0", "1,000.0 (900.0 to 1,100.0)", "10,000"]
    assert [row[3] for row in speed.rows] == ["500.0", "10.0 (9.1 to 11.1)", ""]
    assert "(1.2.3)" in speed.rows[2][0]
    assert "each answer 50 ms late" in speed.title


def test_the_operator_is_held_against_both_loops() -> None:
    rows = goals(figures_of(one_by_one=100.0))
    assert rows["tokens a second, against one token a call"][2:] == ("100.0 times", "at least 200 times", "no")
    assert rows["tokens a second, against a hundred a call"][2:] == ("10.0 times", "at least 6 times", "yes")


def test_the_time_within_a_throughput_is_held_against_both_bounds() -> None:
    rows = goals(figures_of())
    what = "seconds for 10,000 tokens listed, 300 units/s"
    assert rows[f"{what}: even flow of 15,010 units"][:3] == ("52.7", "40.0", "1.32 times")
    assert rows[f"{what}: sliding window"] == ("52.7", "50.0", "1.05 times", "at most 1.10", "yes")
    assert rows["compute units of these"][2:] == ("1.0015 times", "at most 1.05", "yes")
    assert rows["calls of these answered 429"][2:] == ("0.00%", "under 0.5%", "yes")


def test_refused_calls_and_units_too_many_miss_their_goals() -> None:
    seen = replace(SEEN, calls=200, refused=1, compute_units=120_000)
    rows = goals(figures_of(budget=replace(RUN, seen=seen)))
    assert rows["calls of these answered 429"][-1] == "no"
    assert rows["compute units of these"][-1] == "no"


def test_memory_is_what_more_tokens_take_more() -> None:
    many = Run(100_000, replace(OUTCOME, peak_bytes=181_000_000), SEEN)
    rows = goals(figures_of(many=many))
    assert rows["peak MB, 100,000 tokens listed against 10,000"] == (
        "181.0",
        "140.0",
        "+41.0 MB",
        "at most 40 MB more",
        "no",
    )


def test_a_kill_is_judged_by_what_was_asked_again_what_is_missing_and_what_was_counted() -> None:
    kill = Kill(False, 10_000, 5_000, 2, COUNTS, 6.0, replace(SEEN, again=700))
    rows = goals(figures_of(kill=kill))
    what = "worker killed at 50%, given"
    assert rows[f"{what}: tokens asked again"] == ("700", "10,000", "7.0%", "at most 10%", "yes")
    assert rows[f"{what}: tokens missing"][-1] == "yes"
    assert rows[f"{what}: tokens in the result"] == ("10,000 of 10,000", "10,000", "", "each once", "yes")


def test_a_kill_that_loses_or_counts_twice_misses_its_goals() -> None:
    seen = replace(SEEN, again=1_001, tokens=9_999)
    kill = Kill(True, 10_000, 5_000, 2, {**COUNTS, "refreshed": 10_100}, 6.0, seen)
    rows = goals(figures_of(kill=kill))
    assert [row[-1] for what, row in rows.items() if what.startswith("worker killed")] == ["no", "no", "no"]
