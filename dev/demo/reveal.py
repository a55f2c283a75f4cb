# SPDX-License-Identifier: Apache-2.0
"""
The second scenario: a block of the chain starts everything.

A contract announces new metadata, a watcher in the triggerer sees it, one DAG refreshes the collection and proves it,
and a second one, scheduled on the collection's asset, publishes it. Nobody triggers a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from rich.console import Console

from airflow_provider_alchemy.testing import RemoteEmulator
from dev.demo.service import Commands, Service
from dev.demo.watch import report_failure, show_log, table_of, watch
from dev.local_airflow import DagRun, LocalAirflow, LocalAirflowError
from dev.local_airflow.rest import ApiServerUnreachableError
from dev.local_airflow.waiting import wait_until

T = TypeVar("T")

REFRESHES = "alchemy_refresh_on_reveal"
PUBLISHES = "alchemy_publish_revealed"
COLLECTION = "0xe9fca552b9eb110c2d170962af740725f71f5644"
TOKENS = 500
CONFIRMATIONS = 12
"""The trigger's default, which the DAG leaves as it is."""

BLOCK_SECONDS = 0.5
"""Ethereum makes a block in 12 s: 24 times as fast, nobody has to watch a terminal for minutes."""

LOOK_SECONDS = 0.5


def commands() -> Commands:
    """
    Give what the emulator is told first.

    :return: Its commands.
    """
    return {
        "settings": {"block_seconds": BLOCK_SECONDS, "units_per_second": 1000},
        "collections": {"address": COLLECTION, "tokens": TOKENS, "refresh_seconds": 5},
    }


def play(console: Console, airflow: LocalAirflow, service: Service) -> bool:
    """
    Let the contract announce new metadata and show what follows.

    :param console: The terminal.
    :param airflow: The Airflow.
    :param service: The emulated Alchemy.
    :return: Whether both DAGs ran to a good end.
    :raises LocalAirflowError: It is not an emulated one.
    """
    if (emulator := service.emulator) is None:
        msg = "The scenario reveal needs the emulator, which makes the blocks."
        raise LocalAirflowError(msg)
    for dag_id in (REFRESHES, PUBLISHES):
        airflow.unpause_dag(dag_id)
    _wait(airflow, lambda: emulator.get("counters")["calls"], "the watcher reads no blocks")
    console.print(f"A watcher in the triggerer reads the chain. DAG [bold]{REFRESHES}[/] waits for its asset.")
    block = _reveal(console, airflow, emulator)
    event = _wait(airflow, lambda: _event_of(airflow, "announced_on_chain"), "no event of the watched asset")
    _say(console, f"asset event: {', '.join(event['extra']['payload']['event_ids'])}")
    return _follow(console, airflow, REFRESHES, "prove", f"block {block:,} has started") and _follow(
        console, airflow, PUBLISHES, "publish", "the collection's asset has started"
    )


def _reveal(console: Console, airflow: LocalAirflow, emulator: RemoteEmulator) -> int:
    """Make the block, and wait until enough others follow; give its number."""
    made = emulator.post("reveal_batch", address=COLLECTION, first_id=0, last_id=TOKENS - 1)
    block = int(made["logs"][0]["block_number"])
    _say(console, f"block {block:,}: BatchMetadataUpdate(0, {TOKENS - 1}) of {COLLECTION}")
    _wait(airflow, lambda: int(emulator.get("chain")["newest_block"]) >= block + CONFIRMATIONS, "no block follows")
    _say(console, f"block {block + CONFIRMATIONS:,}: {CONFIRMATIONS} blocks follow, so the announcement counts")
    return block


def _follow(console: Console, airflow: LocalAirflow, dag_id: str, task_id: str, because: str) -> bool:
    run = _wait(airflow, lambda: next(iter(airflow.runs_of(dag_id)), None), f"nothing started {dag_id}")
    console.print(f"\n{because[0].upper()}{because[1:]} DAG [bold]{dag_id}[/].")
    watch(console, airflow, run)
    if run.state() != "success":
        report_failure(console, airflow, run)
        return False
    _show_end(console, airflow, run, task_id)
    return True


def _show_end(console: Console, airflow: LocalAirflow, run: DagRun, task_id: str) -> None:
    if run.dag_id == PUBLISHES:
        console.print(f"{task_id} got: {airflow.xcom(run, task_id)}", highlight=False, soft_wrap=True)
        return
    show_log(console, airflow, run, "refresh")
    show_log(console, airflow, run, task_id)
    event = _wait(
        airflow, lambda: _event_of(airflow, f"alchemy://eth-mainnet/{COLLECTION}"), "no event of the collection's asset"
    )
    console.print(table_of("Event of the collection's asset", event["extra"]))


def _event_of(airflow: LocalAirflow, uri: str) -> dict[str, Any] | None:
    return next((event for event in airflow.asset_events() if event["uri"] == uri), None)


def _wait(airflow: LocalAirflow, look: Callable[[], T | None], failure: str) -> T:
    def looked() -> T | None:
        try:
            return look()
        except ApiServerUnreachableError:
            # It has much to do while Airflow starts: the next look gets an answer.
            return None

    return wait_until(
        looked,
        moves=airflow.progress,
        failure=lambda: f"{failure[0].upper()}{failure[1:]}.",
        interval_seconds=LOOK_SECONDS,
    )


def _say(console: Console, text: str) -> None:
    console.print(f"  {time.strftime('%H:%M:%S')}  {text}", highlight=False, soft_wrap=True)
