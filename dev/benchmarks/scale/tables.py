# SPDX-License-Identifier: Apache-2.0
"""The tables of the scale benchmark: how late tasks end, as a histogram too, how triggerers share, and the goals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dev.benchmarks.scale.plan import Side
from dev.benchmarks.scale.summary import DELAYS, of_airflow
from dev.benchmarks.scale.waits import widened
from dev.benchmarks.scale.watch import UNASSIGNED
from dev.benchmarks.tables import Table

BAR_LENGTH = 50
ROWS = 24
"""How many classes a histogram has at most."""
NAMES = {Side.TRIGGERER: "all in the triggerer", Side.WORKERS: "through workers"}


def tables(figures: dict[str, Any]) -> list[Table]:
    """
    Write what was measured as tables.

    :param figures: What ``summarize`` gave.
    :return: The delays, their histogram, the triggerers, and what was promised.
    """
    return [_delays(figures), _histogram(figures), _triggerers(figures), _goals(figures)]


def title(figures: dict[str, Any]) -> str:
    """
    Say what was measured.

    :param figures: What ``summarize`` gave.
    :return: One line.
    """
    scenario = figures["scenario"]
    waits = f"{scenario['waits']:,} waits over two triggerers"
    workers = f", {scenario['worker_waits']:,} through workers" if scenario["worker_waits"] else ""
    killed = ", one of which is killed" if scenario["kill"] else ""
    xcoms = ", with XComs" if scenario["xcoms"] else ""
    return f"{waits}{killed}{xcoms}{workers}"


def _delays(figures: dict[str, Any]) -> Table:
    rows = [
        (
            f"{name}, {NAMES[side]}",
            *(f"{delays[which]:,.1f}" for which in ("median", "p95", "p99", "longest")),
            f"{delays['count']:,}",
        )
        for side in Side
        for name, delays in figures["sides"][side.value]["delays"].items()
    ]
    scenario, seconds = figures["scenario"], figures["seconds"]
    shortest, longest = scenario["job_seconds"], scenario["job_seconds"] + scenario["spread_seconds"]
    first = "after the first DAG run was made"
    notes = [
        f"Each refresh takes {shortest:g} to {longest:g} s; polled at the default interval, 60 s or more.",
        f"The last DAG run was made {seconds['requested']:,.0f} s {first}.",
        f"The last refresh was submitted {seconds['submitted']:,.0f} s {first}, as its trigger began.",
        f"The last task ended {seconds['ended']:,.0f} s {first}.",
    ]
    return Table(title(figures), ("seconds from", "median", "95 %", "99 %", "longest", "waits"), rows, notes)


def _histogram(figures: dict[str, Any]) -> Table:
    name = next(iter(DELAYS))
    counts: list[int] = figures["sides"][Side.TRIGGERER.value]["histograms"][name]
    width, classes = widened(counts, ROWS)
    rows = [
        (f"{width * number} to {width * (number + 1)}", f"{count:,}", bar(count, classes))
        for number, count in enumerate(classes)
    ]
    return Table(f"Seconds from {name}, {NAMES[Side.TRIGGERER]}", ("seconds", "waits", ""), rows)


def bar(count: int, counts: Sequence[int]) -> str:
    """
    Draw a row of a histogram.

    :param count: The row's number.
    :param counts: Those of all rows, the largest of which has the longest bar.
    :return: The bar, as long as all others are with its blanks, so that a table does not move it.
    """
    length = round(BAR_LENGTH * count / max(counts)) if count else 0
    return ("█" * length).ljust(BAR_LENGTH)


def _triggerers(figures: dict[str, Any]) -> Table:
    cpu, waits = figures["cpu_seconds"], sum(figures["sides"][side.value]["waits"] for side in Side)
    rows = [
        (name, f"{cpu[name]:,.1f}", f"{1000 * cpu[name] / waits:,.1f}", *_footprint(figures["triggerers"].get(name)))
        for name in sorted(cpu, key=lambda name: -cpu[name])
    ]
    airflow = of_airflow(cpu)
    rest = of_airflow(figures["cpu_at_rest"]) * figures["sampled_seconds"]
    peaks = figures["peaks"]
    shares = max((point["triggers"] for point in figures["course"]), key=lambda held: sum(_held(held)))
    each, held = 1000 * (airflow - rest) / waits, " and ".join(f"{count:,}" for count in _held(shares))
    notes = [
        f"Airflow in all: {airflow:,.0f} CPU s, less what it takes at rest ({rest:,.0f}): {each:,.0f} ms a wait.",
        f"Waits under way at once: at most {peaks['under_way']:,}, shared as {held}.",
        f"Waits that no triggerer had taken yet: at most {peaks['unassigned']:,}.",
        f"Waits that went from one triggerer to the other: {figures['moved']:,}.",
        f"Database connections: at most {peaks['database_connections']}.",
    ]
    columns = ("component", "CPU s", "ms a wait", "peak MB", "open files")
    return Table("What it took", columns, rows, notes)


def _footprint(footprint: dict[str, float] | None) -> tuple[str, str]:
    if footprint is None:
        return "", ""
    return f"{footprint['memory_bytes'] / 1e6:,.0f}", f"{footprint['open_files']:,.0f}"


def _held(triggers: dict[str, int]) -> list[int]:
    return sorted((count for holder, count in triggers.items() if holder != UNASSIGNED), reverse=True)


def _goals(figures: dict[str, Any]) -> Table:
    sides = [figures["sides"][side.value] for side in Side]
    waits, right = (sum(side[name] for side in sides) for name in ("waits", "right"))
    early, lost = (sum(side[name] for side in sides) for name in ("early", "not_ended"))
    after, calls = (sum(side[name] for side in sides) for name in ("calls_after", "calls"))
    ", ".join(figures["died"])
    rows = [
        ("waits that ended well", f"{right:,} of {waits:,}", "all", _yes(right == waits)),
        ("tasks that ended before their refresh", f"{early:,}", "0", _yes(not early)),
        ("waits that never ended", f"{lost:,}", "0", _yes(not lost)),
        (
            "components that ended by themselves",
            ", ".join(figures["died"]) or "none",
            "none",
            _yes(not figures["died"]),
        ),
        ("calls after the end was told", f"{after:,}", "", ""),
        ("calls a wait", f"{calls / waits:.1f}", "", ""),
    ]
    return Table("Goals", ("what", "measured", "goal", "reached"), rows)


def _yes(is_reached: bool) -> str:
    return "yes" if is_reached else "no"
