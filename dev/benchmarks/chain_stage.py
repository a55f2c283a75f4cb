# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of the chain plays on: one real Airflow at its own intervals, and an emulator for each limit."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.calls import Call
from airflow_provider_alchemy.testing.plugin import connection_json
from dev.benchmarks.chain_plan import CatchUpSide
from dev.benchmarks.sides import UNLIMITED_UNITS_PER_SECOND
from dev.local_airflow import LocalAirflow
from dev.local_airflow.waiting import wait_until

ROOT = Path(__file__).parents[2]
DAGS = Path(__file__).parent / "watched" / "dags"

DAG_PROCESSOR_INTERVALS = {
    # Not part of what is measured: how soon the watchers of a DAG that was just unpaused begin.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3",
    "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "1",
}


@dataclass(frozen=True)
class Sizes:
    """
    How much there is to watch.

    :param networks: Chains of the latency's watchers, one watcher each.
    :param watchers: Watchers of the crowd.
    :param contracts: Contracts of each of these.
    :param poll_seconds: The poll interval where the latency is measured.
    :param crowd_poll_seconds: That of the crowd, and of those who are compared with it.
    :param sides: The connections whose blocks are limited.
    """

    networks: int
    watchers: int
    contracts: int
    poll_seconds: float
    crowd_poll_seconds: float
    sides: Sequence[CatchUpSide]


@dataclass(frozen=True)
class Stage:
    """
    What runs.

    :param airflow: The Airflow.
    :param emulator: The emulator without a limit of blocks.
    :param limited: Those with one, by connection.
    :param loop_file: Where the triggerer's event loop is told of.
    """

    airflow: LocalAirflow
    emulator: AlchemyEmulator
    limited: dict[str, AlchemyEmulator]
    loop_file: Path

    def begin(self, dag_id: str, is_begun: Callable[[], bool]) -> None:
        """
        Unpause a DAG, and wait until its watchers watch.

        :param dag_id: The DAG.
        :param is_begun: Tells whether they do.
        :raises LocalAirflowError: They do not begin.
        """
        self.airflow.unpause_dag(dag_id)
        wait_until(is_begun, failure=lambda: f"the watchers of {dag_id} do not begin")

    def end(self, dag_id: str, network: str, quiet_seconds: float) -> None:
        """
        Pause a DAG, and wait until nobody polls for it.

        :param dag_id: The DAG.
        :param network: What its watchers poll.
        :param quiet_seconds: For how long there must have been no call.
        :raises LocalAirflowError: They do not end.
        """
        self.airflow.pause_dag(dag_id)

        def is_quiet() -> bool:
            calls = self.calls(network)
            return not calls or time.time() - calls[-1].at > quiet_seconds

        wait_until(is_quiet, failure=lambda: f"the watchers of {dag_id} do not end")

    def calls(self, network: str) -> list[Call]:
        """
        Give the calls on a chain.

        :param network: Which.
        :return: The calls, in order.
        """
        return [call for call in self.emulator.calls if call.network == network]


@contextmanager
def open_stage(folder: Path, sizes: Sizes) -> Iterator[Stage]:
    """
    Start everything.

    :param folder: Where logs and the database go.
    :param sizes: How much there is to watch.
    :return: What runs; it is ended with the ``with`` block.
    """
    with ExitStack() as stack:
        emulator = stack.enter_context(AlchemyEmulator(units_per_second=None, block_seconds=None))
        limited = {
            side.conn_id: stack.enter_context(
                AlchemyEmulator(
                    units_per_second=None,
                    block_seconds=None,
                    max_block_range=side.limit,
                    range_refusal=side.refusal,
                )
            )
            for side in sizes.sides
        }
        loop_file = folder / "loop.jsonl"
        airflow = stack.enter_context(
            LocalAirflow(
                folder / "airflow",
                DAGS,
                database="postgresql",
                connections={
                    "alchemy_default": connection_to(emulator),
                    **{name: connection_to(one) for name, one in limited.items()},
                },
                environment=_environment(sizes, loop_file),
                short_intervals=False,
            )
        )
        yield Stage(airflow, emulator, limited, loop_file)


def connection_to(emulator: AlchemyEmulator) -> str:
    """
    Write a connection on which each network has a chain of its own.

    :param emulator: The emulator.
    :return: JSON.
    """
    fields = json.loads(connection_json(emulator, compute_units_per_second=UNLIMITED_UNITS_PER_SECOND))
    return json.dumps({**fields, "host": f"{emulator.url}/{{network}}"})


def _environment(sizes: Sizes, loop_file: Path) -> dict[str, str]:
    return {
        **DAG_PROCESSOR_INTERVALS,
        # Airflow's processes run elsewhere, and load this package's triggers.
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "BENCHMARK_NETWORKS": str(sizes.networks),
        "BENCHMARK_WATCHERS": str(sizes.watchers),
        "BENCHMARK_CONTRACTS": str(sizes.contracts),
        "BENCHMARK_POLL_SECONDS": str(sizes.poll_seconds),
        "BENCHMARK_CROWD_POLL_SECONDS": str(sizes.crowd_poll_seconds),
        "BENCHMARK_CATCH_UP": " ".join(side.conn_id for side in sizes.sides),
        "BENCHMARK_LOOP_FILE": str(loop_file),
    }
