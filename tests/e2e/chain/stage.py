# SPDX-License-Identifier: Apache-2.0
"""The Airflow and the emulators that the watchers of the chain run on, and what is asked of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.calls import Call
from dev.local_airflow import LocalAirflow
from dev.local_airflow.waiting import wait_until
from tests.e2e.chain.dags.watchers import SCENARIOS, Watched
from tests.e2e.chain.mill import ids_for, logs_for
from tests.e2e.chain.records import Records

LOOK_SECONDS = 0.25
"""Between two looks: some read the database, and take a core from the triggerer that is waited for."""

LOGS = "eth_getLogs"
NEWEST = "eth_blockNumber"


class Stage:
    """
    What runs.

    :param airflow: The running Airflow.
    :param dags: The folder of its DAG files, which may be changed.
    :param emulators: The running emulators by connection.
    """

    def __init__(self, airflow: LocalAirflow, dags: Path, emulators: dict[str, AlchemyEmulator]) -> None:
        self.airflow = airflow
        self.records = Records(airflow.database_url)
        self._dags = dags
        self._emulators = emulators

    def emulator_of(self, watched: Watched) -> AlchemyEmulator:
        return self._emulators[watched.alchemy_conn_id]

    def begin(self, file: str, dag_ids: Iterable[str], watches: Iterable[Watched]) -> None:
        """Unpause DAGs, and wait until their watches have begun: what comes then is told."""
        for dag_id in dag_ids:
            self.airflow.unpause_dag(dag_id)
        # Airflow makes the triggers of a DAG's assets when it parses its file.
        self.touch(file)
        begun = list(watches)

        def missing() -> list[Watched]:
            return [watched for watched in begun if not self.records.places(watched)]

        self.until(lambda: not missing(), lambda: f"These watches have not begun: {missing()}")

    def touch(self, file: str) -> None:
        """Let a DAG file look new: others are parsed now and then only."""
        os.utime(self._dags / file)

    def change(self, file: str, old: str, new: str) -> None:
        """Edit a DAG file."""
        path = self._dags / file
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    def log_calls(self, watched: Watched) -> list[Call]:
        """Give the calls for logs on the network of a watch."""
        return [call for call in self.calls(watched.network, watched.alchemy_conn_id) if call.endpoint == LOGS]

    def calls(self, network: str, alchemy_conn_id: str = "alchemy_default") -> list[Call]:
        return [call for call in self._emulators[alchemy_conn_id].calls if call.network == network]

    def mine_until_told(self, scenario: str) -> None:
        """Let everything that is on the chain be confirmed, and wait until all of it is told and kept."""
        watches = SCENARIOS[scenario]
        emulator = self.emulator_of(watches[0])
        emulator.mine_blocks(max(watched.confirmations for watched in watches), network=watches[0].network)
        for watched in watches:
            self.until_told(watched.asset, ids_for(watched, emulator))
        self.until(lambda: all(map(self.is_kept, watches)), f"The places of {scenario} do not move past what was told")

    def is_kept(self, watched: Watched) -> bool:
        """Tell whether the place of a watch is behind all that was announced for it; empty blocks do not count."""
        last = max((log.block_number for log in logs_for(watched, self.emulator_of(watched))), default=0)
        places = self.records.places(watched)
        return bool(places) and min(places.values()) > last

    def until_told(self, asset: str, ids: set[str]) -> None:
        def untold() -> set[str]:
            return ids - self.records.ids(asset).keys()

        self.until(lambda: not untold(), lambda: f"{asset} was not told {sorted(untold())[:3]}")

    def until(self, condition: Callable[[], object], failure: str | Callable[[], str]) -> None:
        """Wait as long as watches get on, or the runs that they start."""
        wait_until(
            condition,
            moves=lambda: (self.airflow.progress(), self.records.progress()),
            failure=lambda: failure if isinstance(failure, str) else failure(),
            interval_seconds=LOOK_SECONDS,
        )

    def until_runs_end(self, scenario: str) -> None:
        """Wait until no run of a DAG is under way, and no stored event is to start one."""
        self.until(lambda: not self.records.has_runs_under_way(scenario), f"The runs of {scenario} do not end")

    def ids_of_runs(self, scenario: str) -> set[str]:
        """Give the ids that the runs of a DAG were started with, once all have ended."""
        self.until_runs_end(scenario)
        runs = [run for run in self.airflow.runs_of(scenario) if run.state() == "success"]
        return {event_id for run in runs for event_id in run.xcom("announced", -1, "return_value")}

    def until_more_polls(self, network: str, polls: int) -> None:
        """Wait until a chain was asked for its newest block some more times."""
        before = len(self.calls(network))
        self.until(lambda: len(self.calls(network)) >= before + polls, f"Nobody polls {network}")
