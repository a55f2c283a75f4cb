# SPDX-License-Identifier: Apache-2.0
"""
What it takes to refresh a collection token by token: time, throughput, units, memory, and what a kill costs.

The emulator serves over TLS in a process of its own, and each answer comes 50 ms late. This package's side is the
operator's whole ``execute``, in a fresh process each time; the references are loops on one connection, in this process.
All of them run in turn against the same server.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dev.benchmarks.command_line import add_options, run_benchmark, tell_progress
from dev.benchmarks.machine import version_of
from dev.benchmarks.token_kill import measure_kills
from dev.benchmarks.token_reference import tokens_by_the_hundred, tokens_one_by_one
from dev.benchmarks.token_runs import run_operator
from dev.benchmarks.token_server import ADDRESS
from dev.benchmarks.token_service import TokenServiceClient, token_service
from dev.benchmarks.token_tables import tables
from dev.local_airflow.certificates import write_certificates

__all__ = ["Scenario", "measure", "tables"]


@dataclass(frozen=True)
class Scenario:
    """
    What is measured.

    :param latency_seconds: How much later every answer comes.
    :param rounds: How often the three sides of the speed are measured.
    :param tokens: Tokens of the operator's run in each round.
    :param single_tokens: Tokens of the loop that asks for one at a time.
    :param batched_tokens: Tokens of the loop that asks for a hundred at a time.
    :param listed_tokens: Tokens of the collection that is listed and refreshed within the throughput.
    :param units_per_second: That throughput.
    :param few_tokens: Tokens of the smaller of two collections whose memory is compared.
    :param many_tokens: Those of the larger one.
    :param killed_tokens: Tokens of the task whose worker is killed in a whole Airflow; 0: none is.
    """

    latency_seconds: float = 0.05
    rounds: int = 3
    tokens: int = 20_000
    single_tokens: int = 200
    batched_tokens: int = 6_000
    listed_tokens: int = 10_000
    units_per_second: float = 300.0
    few_tokens: int = 1_000
    many_tokens: int = 100_000
    killed_tokens: int = 10_000


def measure(scenario: Scenario | None = None) -> dict[str, Any]:
    """
    Measure everything.

    :param scenario: What; default: that of :class:`Scenario`.
    :return: JSON values: ``scenario``, ``versions``, ``speed`` (one entry for each round), ``budget``, ``memory`` and
        ``kills``.
    :raises BenchmarkError: A process could not be run, or not all tokens were refreshed.
    """
    scenario = scenario or Scenario()
    with tempfile.TemporaryDirectory(prefix="benchmark-tokens-") as name:
        folder = Path(name)
        certificates = write_certificates(folder)
        with token_service(certificates, folder, scenario.latency_seconds) as service:
            return {
                "scenario": asdict(scenario),
                "versions": {
                    name: version_of(name)
                    for name in ("requests", "aiohttp", "apache-airflow", "airflow-provider-alchemy")
                },
                "speed": [_measure_speed(scenario, service, folder) for _ in range(scenario.rounds)],
                "memory": _measure_memory(scenario, service, folder),
                "budget": _measure_budget(scenario, service, folder),
                "kills": _measure_kills(scenario, service, folder),
            }


def _measure_speed(scenario: Scenario, service: TokenServiceClient, folder: Path) -> dict[str, Any]:
    tell_progress(f"requests, one token a call: {scenario.single_tokens:,} tokens …")
    service.begin(scenario.single_tokens)
    one_by_one = tokens_one_by_one(service, ADDRESS, scenario.single_tokens)
    tell_progress(f"requests, a hundred tokens a call: {scenario.batched_tokens:,} tokens …")
    service.begin(scenario.batched_tokens)
    by_the_hundred = tokens_by_the_hundred(service, ADDRESS, scenario.batched_tokens)
    tell_progress(f"RefreshCollectionOperator: {scenario.tokens:,} tokens …")
    run = run_operator(service, folder, scenario.tokens)
    return {"one_by_one": one_by_one, "by_the_hundred": by_the_hundred, "operator": asdict(run)}


def _measure_memory(scenario: Scenario, service: TokenServiceClient, folder: Path) -> list[dict[str, Any]]:
    runs = []
    for is_listed in (True, False):
        tell_progress(f"Memory of {scenario.many_tokens:,} tokens, {'listed' if is_listed else 'given'} …")
        few, many = (
            run_operator(service, folder, tokens, is_listed=is_listed)
            for tokens in (scenario.few_tokens, scenario.many_tokens)
        )
        runs.append({"is_listed": is_listed, "few": asdict(few), "many": asdict(many)})
    return runs


def _measure_budget(scenario: Scenario, service: TokenServiceClient, folder: Path) -> dict[str, Any]:
    tell_progress(f"{scenario.listed_tokens:,} tokens with {scenario.units_per_second:g} units a second …")
    run = run_operator(
        service, folder, scenario.listed_tokens, is_listed=True, units_per_second=scenario.units_per_second
    )
    return asdict(run)


def _measure_kills(scenario: Scenario, service: TokenServiceClient, folder: Path) -> list[dict[str, Any]]:
    if not scenario.killed_tokens:
        return []
    tell_progress("Starting PostgreSQL and Airflow, and killing workers …")
    return [asdict(kill) for kill in measure_kills(service, folder, scenario.killed_tokens)]


def main(argv: Sequence[str] | None = None) -> int:
    """
    Measure, and print tables.

    :param argv: The command line's arguments; default: this process's.
    :return: The exit status.
    """
    default = Scenario()
    parser = argparse.ArgumentParser(
        prog="python -m dev.benchmarks.tokens",
        description="Measure what it takes to refresh a collection token by token.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    options = {
        "rounds": "how often the speed is measured",
        "tokens": "tokens of the operator's run in each round",
        "single_tokens": "tokens of the loop that asks for one at a time",
        "batched_tokens": "tokens of the loop that asks for a hundred at a time",
        "listed_tokens": "tokens of the collection that is refreshed within a throughput",
        "units_per_second": "that throughput",
        "few_tokens": "tokens whose memory is compared",
        "many_tokens": "with that of so many",
        "killed_tokens": "tokens of the task whose worker is killed in a whole Airflow; 0: none is",
        "latency_seconds": "how much later every answer comes",
    }
    add_options(parser, default, options)
    arguments = vars(parser.parse_args(argv))
    file = arguments.pop("json")
    return run_benchmark("tokens", lambda: measure(Scenario(**arguments)), tables, file)


if __name__ == "__main__":
    sys.exit(main())
