# SPDX-License-Identifier: Apache-2.0
"""The tables of the chain's benchmark: how soon announcements start DAGs, what watching costs, and the goals."""

from __future__ import annotations

from typing import Any

from dev.benchmarks.chain_plan import ALONE, CROWD, ONE
from dev.benchmarks.chain_runs import CatchUp, Latency, Load
from dev.benchmarks.tables import Table, spread

GOAL_LATENCY_SECONDS = 3.0
"""Beyond a poll interval."""

GOAL_CALLS, GOAL_LATE_SECONDS = 1.1, 0.1

NAMES = {ONE: "one watcher", CROWD: "many watchers", ALONE: "many watchers that each poll for themselves"}

Row = tuple[str, ...]


def tables(figures: dict[str, Any]) -> list[Table]:
    """
    Write what was measured as tables.

    :param figures: What ``chain.measure`` gave.
    :return: The load of each kind of watching, the calls to catch up, and the goals.
    """
    loads = {one["side"]: Load(**one) for one in figures["loads"]}
    catching_up = [CatchUp(**one) for one in figures["catching_up"]]
    latencies = [Latency(**one) for one in figures["latencies"]]
    return [
        _load_table(figures["scenario"], loads),
        _catch_up_table(catching_up),
        _goals(figures["scenario"], latencies, loads, catching_up),
    ]


def _load_table(scenario: dict[str, Any], loads: dict[str, Load]) -> Table:
    columns = (
        "who watches",
        "watchers",
        "contracts",
        "newest block",
        "logs",
        "calls a minute",
        "loop late s",
        "at the start",
        "MB",
    )
    rows = [
        (
            NAMES[side],
            f"{load.watchers:,}",
            f"{load.watchers * load.contracts:,}",
            f"{60 * load.newest_calls / load.seconds:,.0f}",
            f"{60 * load.log_calls / load.seconds:,.0f}",
            f"{load.calls_per_minute:,.0f}",
            f"{load.late_seconds:.3f}",
            f"{load.late_at_start_seconds:.3f}",
            f"{load.resident_bytes / 1e6:,.0f}",
        )
        for side, load in loads.items()
    ]
    title = (
        f"Watching the chain in Airflow's triggerer, a poll each {scenario['crowd_poll_seconds']:g} s, a block a second"
    )
    notes = [
        "Calls are those of a minute. The loop is the triggerer's own, late by what else it does as well.",
        "Memory is the largest resident size of the process that runs the triggers, what earlier lines left included.",
    ]
    return Table(title, columns, rows, notes)


def _catch_up_table(catching_up: list[CatchUp]) -> Table:
    columns = ("blocks that a call may span", "a refusal names a range", "answered", "fewest", "refused", "told")
    rows = [
        (
            f"{one.limit:,}",
            "yes" if one.refusal == "hint" else "no",
            f"{one.answered:,}",
            f"{one.fewest:,}",
            f"{one.refused:,}",
            f"{one.told:,} of {one.announced:,}",
        )
        for one in catching_up
    ]
    blocks = catching_up[0].blocks if catching_up else 0
    return Table(f"Calls for logs to catch up {blocks:,} blocks after the triggerer was killed", columns, rows)


def _goals(
    scenario: dict[str, Any], latencies: list[Latency], loads: dict[str, Load], catching_up: list[CatchUp]
) -> Table:
    rows = [
        *_latency_rows(scenario["poll_seconds"], latencies),
        *_load_rows(loads),
        *(_catch_up_row(one) for one in catching_up),
    ]
    notes = ["Times are median, lowest and highest.", "Airflow runs at its own intervals, but for parsing DAG files."]
    return Table("Goals of watching the chain", ("what", "measured", "reference", "goal", "met"), rows, notes)


def _latency_rows(poll_seconds: float, latencies: list[Latency]) -> list[Row]:
    if not latencies:
        return []
    to_event, to_run = [one.to_event for one in latencies], [one.to_run for one in latencies]
    most = poll_seconds + GOAL_LATENCY_SECONDS
    return [
        (
            f"seconds from confirmation to event, {len(latencies)} events",
            spread(to_event, 1),
            f"poll interval {poll_seconds:g}",
            f"at most {most:g}",
            _met(is_met=max(to_event) <= most),
        ),
        ("seconds from event to running DAG", spread(to_run, 1), "", "", ""),
    ]


def _load_rows(loads: dict[str, Load]) -> list[Row]:
    if not loads:
        return []
    one, crowd = loads[ONE], loads[CROWD]
    ratio = crowd.calls_per_minute / one.calls_per_minute
    rows: list[Row] = [
        (
            f"calls a minute of {crowd.watchers} watchers, against one",
            f"{crowd.calls_per_minute:,.0f}",
            f"{one.calls_per_minute:,.0f}",
            f"at most {GOAL_CALLS:g} times",
            _met(is_met=ratio <= GOAL_CALLS),
        ),
        (
            f"seconds that the loop is late, {crowd.watchers} watchers",
            f"{crowd.late_seconds:.3f}",
            f"{one.late_seconds:.3f}",
            f"under {GOAL_LATE_SECONDS:g}",
            _met(is_met=crowd.late_seconds < GOAL_LATE_SECONDS),
        ),
    ]
    return rows


def _catch_up_row(one: CatchUp) -> Row:
    return (
        f"calls for {one.blocks:,} blocks, {one.limit:,} a call, {one.refusal}",
        f"{one.answered:,} and {one.refused:,} refused",
        f"{one.fewest:,}",
        "the fewest that are answered",
        _met(is_met=one.answered == one.fewest and one.told == one.announced),
    )


def _met(*, is_met: bool) -> str:
    return "yes" if is_met else "no"
