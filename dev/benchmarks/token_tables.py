# SPDX-License-Identifier: Apache-2.0
"""The tables of the tokens' benchmark: how fast each side is, and how far each goal is reached."""

from __future__ import annotations

from statistics import median
from typing import Any

from dev.benchmarks.refreshing_process import Outcome
from dev.benchmarks.tables import Table, spread
from dev.benchmarks.token_bounds import least_price, steady_bound_seconds, throughput_units, window_bound_seconds
from dev.benchmarks.token_kill import Kill
from dev.benchmarks.token_runs import Run
from dev.benchmarks.token_server import Seen

GOAL_ONE_BY_ONE, GOAL_BY_THE_HUNDRED = 200, 6
GOAL_BOUND, GOAL_REFUSED, GOAL_PRICE = 1.10, 0.005, 1.05
GOAL_MEMORY_MB, GOAL_AGAIN = 40, 0.10

Row = tuple[str, ...]


def tables(figures: dict[str, Any]) -> list[Table]:
    """
    Write what was measured as tables.

    :param figures: What ``tokens.measure`` gave.
    :return: The speed of each side, and the goals.
    """
    return [_speed(figures), _goals(figures)]


def _speed(figures: dict[str, Any]) -> Table:
    scenario, rounds = figures["scenario"], figures["speed"]
    runs = [run_of(one["operator"]) for one in rounds]
    ours = [run.tokens_per_second for run in runs]
    loops = {
        "requests, getNFTMetadata, one token a call": ("one_by_one", scenario["single_tokens"]),
        "requests, getNFTMetadataBatch, a hundred a call": ("by_the_hundred", scenario["batched_tokens"]),
    }
    rows = []
    for what, (name, tokens) in loops.items():
        rates = [one[name] for one in rounds]
        ratios = [mine / theirs for mine, theirs in zip(ours, rates, strict=True)]
        rows.append((what, f"{tokens:,}", spread(rates, 1), spread(ratios, 1), "", "", "1"))
    version = figures["versions"]["airflow-provider-alchemy"]
    rows.append(
        (
            f"RefreshCollectionOperator, ids given ({version})",
            f"{scenario['tokens']:,}",
            spread(ours),
            "",
            spread([run.cpu_ms_per_call for run in runs], 1),
            spread([run.service_cpu_ms_per_call for run in runs], 1),
            spread([run.seen.connections for run in runs]),
        )
    )
    columns = (
        "what",
        "tokens",
        "tokens a second",
        "operator times faster",
        "CPU ms a call",
        "the service's",
        "connections",
    )
    notes = [f"Median of {len(rounds)} rounds, with the lowest and the highest."] if len(rounds) > 1 else []
    title = f"Tokens refreshed over TLS, each answer {1000 * scenario['latency_seconds']:g} ms late, no unit limit"
    return Table(title, columns, rows, notes)


def _goals(figures: dict[str, Any]) -> Table:
    rows = [*_speed_goals(figures), *_budget_goals(figures), *map(_memory_goal, figures["memory"])]
    for one in figures["kills"]:
        rows += _kill_goals(Kill(**{**one, "seen": Seen(**one["seen"])}))
    columns = ("what", "measured", "reference", "against it", "goal", "met")
    notes = [
        "A window that was used up at once is there again only ten seconds later: no client can be faster than that.",
        "Peak memory is the largest resident size of the operator's process in its life, Airflow's imports included.",
    ]
    return Table("Goals", columns, rows, notes)


def _speed_goals(figures: dict[str, Any]) -> list[Row]:
    rounds = figures["speed"]
    ours = median(run_of(one["operator"]).tokens_per_second for one in rounds)
    rows: list[Row] = []
    for name, what, goal in (
        ("one_by_one", "one token a call", GOAL_ONE_BY_ONE),
        ("by_the_hundred", "a hundred a call", GOAL_BY_THE_HUNDRED),
    ):
        theirs = median(one[name] for one in rounds)
        ratio = ours / theirs
        rows.append(
            (
                f"tokens a second, against {what}",
                f"{ours:,.0f}",
                f"{theirs:,.1f}",
                f"{ratio:,.1f} times",
                f"at least {goal} times",
                _met(is_met=ratio >= goal),
            )
        )
    return rows


def _budget_goals(figures: dict[str, Any]) -> list[Row]:
    rate, run = figures["scenario"]["units_per_second"], run_of(figures["budget"])
    seconds, units = run.outcome.seconds, throughput_units(run.tokens)
    what = f"seconds for {run.tokens:,} tokens listed, {rate:g} units/s"
    steady, window = steady_bound_seconds(units, rate), window_bound_seconds(units, rate)
    refused, price = run.seen.refused / max(run.seen.calls, 1), least_price(run.tokens)
    price_ratio = run.seen.compute_units / price
    return [
        (
            f"{what}: even flow of {units:,} units",
            f"{seconds:.1f}",
            f"{steady:.1f}",
            _ratio(seconds, steady),
            f"at most {GOAL_BOUND:.2f}",
            _met(is_met=seconds <= GOAL_BOUND * steady),
        ),
        (
            f"{what}: sliding window",
            f"{seconds:.1f}",
            f"{window:.1f}",
            _ratio(seconds, window),
            f"at most {GOAL_BOUND:.2f}",
            _met(is_met=seconds <= GOAL_BOUND * window),
        ),
        (
            "calls of these answered 429",
            f"{run.seen.refused:,} of {run.seen.calls:,}",
            "",
            f"{refused:.2%}",
            f"under {GOAL_REFUSED:.1%}",
            _met(is_met=refused < GOAL_REFUSED),
        ),
        (
            "compute units of these",
            f"{run.seen.compute_units:,}",
            f"{price:,}",
            _ratio(run.seen.compute_units, price, 4),
            f"at most {GOAL_PRICE:.2f}",
            _met(is_met=price_ratio <= GOAL_PRICE),
        ),
    ]


def _memory_goal(one: dict[str, Any]) -> Row:
    few, many = run_of(one["few"]), run_of(one["many"])
    peaks = [run.outcome.peak_bytes / 1e6 for run in (many, few)]
    more = peaks[0] - peaks[1]
    return (
        f"peak MB, {many.tokens:,} tokens {'listed' if one['is_listed'] else 'given'} against {few.tokens:,}",
        f"{peaks[0]:.1f}",
        f"{peaks[1]:.1f}",
        f"{more:+.1f} MB",
        f"at most {GOAL_MEMORY_MB} MB more",
        _met(is_met=more <= GOAL_MEMORY_MB),
    )


def _kill_goals(kill: Kill) -> list[Row]:
    what = f"worker killed at {kill.answered_before / kill.tokens:.0%}, {'listed' if kill.is_listed else 'given'}"
    refreshed = kill.counts["refreshed"]
    return [
        (
            f"{what}: tokens asked again",
            f"{kill.seen.again:,}",
            f"{kill.tokens:,}",
            f"{kill.share_again:.1%}",
            f"at most {GOAL_AGAIN:.0%}",
            _met(is_met=kill.share_again <= GOAL_AGAIN),
        ),
        (f"{what}: tokens missing", f"{kill.missing:,}", "", "", "none", _met(is_met=not kill.missing)),
        (
            f"{what}: tokens in the result",
            f"{refreshed:,} of {kill.counts['tokens']:,}",
            f"{kill.tokens:,}",
            "",
            "each once",
            _met(is_met=refreshed == kill.tokens == kill.counts["tokens"]),
        ),
    ]


def run_of(figures: dict[str, Any]) -> Run:
    """
    Rebuild a run from its JSON values.

    :param figures: What ``asdict`` gave.
    :return: The run.
    """
    return Run(figures["tokens"], Outcome(**figures["outcome"]), Seen(**figures["seen"]))


def _ratio(measured: float, reference: float, decimals: int = 2) -> str:
    return f"{measured / reference:.{decimals}f} times" if reference else "no bound"


def _met(*, is_met: bool) -> str:
    return "yes" if is_met else "no"
