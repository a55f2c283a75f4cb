# SPDX-License-Identifier: Apache-2.0
"""Running the operator against the service: each time in a fresh process, as a worker starts one for each task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.processes import child, clean_environment
from dev.benchmarks.refreshing_process import Outcome
from dev.benchmarks.sides import UNLIMITED_UNITS_PER_SECOND, alchemy_connection
from dev.benchmarks.token_server import ADDRESS, Seen
from dev.benchmarks.token_service import TokenServiceClient

START_SECONDS = 120.0
RUN_SECONDS = 600.0


@dataclass(frozen=True)
class Run:
    """
    One run of the operator.

    :param tokens: Tokens of the collection.
    :param outcome: What its process has seen.
    :param seen: What the service has.
    """

    tokens: int
    outcome: Outcome
    seen: Seen

    @property
    def tokens_per_second(self) -> float:
        """Tokens proven fresh in each second of ``execute``."""
        return self.outcome.refreshed / self.outcome.seconds

    @property
    def cpu_ms_per_call(self) -> float:
        """CPU time of the operator's process for each call, in milliseconds."""
        return 1000 * self.outcome.cpu_seconds / max(self.seen.calls, 1)

    @property
    def service_cpu_ms_per_call(self) -> float:
        """CPU time of the service's process for each call, in milliseconds."""
        return 1000 * self.seen.cpu_seconds / max(self.seen.calls, 1)


def run_operator(
    service: TokenServiceClient,
    folder: Path,
    tokens: int,
    *,
    is_listed: bool = False,
    units_per_second: float | None = None,
    profile: Path | None = None,
) -> Run:
    """
    Refresh all tokens of a collection in a fresh process, in an Airflow home of its own.

    :param service: Whom it asks.
    :param folder: Where its home and its log go.
    :param tokens: How many tokens the collection has.
    :param is_listed: Whether it lists the collection; default: the ids are given.
    :param units_per_second: The account's throughput, and what the connection says of it. Default: no limit.
    :param profile: Where to write what takes the time. Default: nowhere, because that takes time as well.
    :return: What was seen.
    :raises BenchmarkError: The process ended too early or too late, or not all tokens are refreshed.
    """
    service.begin(tokens, units_per_second)
    home = folder / "airflow-tokens"
    home.mkdir(exist_ok=True)
    environment = clean_environment(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS="False",
        AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
        **alchemy_connection(
            service.url, service.authority, units_per_second or UNLIMITED_UNITS_PER_SECOND, service.key
        ),
    )
    command_line = ["--address", ADDRESS, "--tokens", str(tokens), *(["--listed"] if is_listed else [])]
    command_line += ["--profile", str(profile)] if profile else []
    with child("dev.benchmarks.refreshing_process", *command_line, folder=folder, environment=environment) as process:
        process.hear(within_seconds=START_SECONDS)
        process.tell({"begin": True})
        outcome = Outcome(**process.hear(within_seconds=RUN_SECONDS))
    if outcome.refreshed != tokens:
        msg = f"the operator has refreshed {outcome.refreshed:,} tokens of {tokens:,}"
        raise BenchmarkError(msg)
    return Run(tokens, outcome, service.seen())
