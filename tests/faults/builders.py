# SPDX-License-Identifier: Apache-2.0
"""The tasks and triggers of the matrix, with the limits of the cell in which they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pendulum

from airflow_provider_alchemy.api.inputs import read_contracts
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator, ReingestContractsOperator
from airflow_provider_alchemy.triggers.batch import ReingestContractsTrigger
from airflow_provider_alchemy.triggers.reingest import ReingestTrigger
from airflow_provider_alchemy.triggers.wait import FreshnessTrigger, NewTokensTrigger, NextAttemptTrigger
from tests.faults.scene import Scene
from tests.faults.worlds import CONTRACTS, PAUSE_SECONDS, POLL_SECONDS, TOKENS
from tests.sensors import freshness, minting
from tests.tasks.batches import contracts
from tests.tasks.lives import ADDRESS, LOWER
from tests.tasks.tokens import refresh


def operator(**arguments: Any) -> Callable[[Scene], Any]:
    """Build the operator for one collection, in each scene anew."""

    def build(scene: Scene) -> ReingestContractOperator:
        return ReingestContractOperator(
            task_id="refresh",
            contract_address=ADDRESS,
            alchemy_conn_id=scene.conn_id,
            poll_interval=POLL_SECONDS,
            adaptive=False,
            timeout=scene.timeout,
            max_consecutive_failures=scene.failures,
            **arguments,
        )

    return build


def contracts_operator(scene: Scene) -> ReingestContractsOperator:
    """Build the operator for many collections."""
    return ReingestContractsOperator(
        task_id="refresh",
        contract_addresses=contracts(CONTRACTS),
        alchemy_conn_id=scene.conn_id,
        poll_interval=POLL_SECONDS,
        adaptive=False,
        timeout=scene.timeout,
        max_consecutive_failures=scene.failures,
    )


def sensor(make: Callable[..., Any], mode: str, **arguments: Any) -> Callable[[Scene], Any]:
    """Build a sensor in a mode, in each scene anew."""

    def build(scene: Scene) -> Any:
        return make(
            mode,
            alchemy_conn_id=scene.conn_id,
            poke_interval=POLL_SECONDS,
            timeout=scene.timeout,
            max_consecutive_failures=scene.failures,
            **arguments,
        )

    return build


def _deadline(scene: Scene) -> str:
    return pendulum.now("UTC").add(seconds=scene.timeout).isoformat()


def _usual(scene: Scene) -> dict[str, Any]:
    return {
        "alchemy_conn_id": scene.conn_id,
        "poll_interval": POLL_SECONDS,
        "max_consecutive_failures": scene.failures,
    }


def reingest_trigger(scene: Scene) -> ReingestTrigger:
    """Build the trigger that goes on where a worker has submitted."""
    state = {"deadline": _deadline(scene)}
    return ReingestTrigger(ADDRESS, state=state, adaptive=False, **_usual(scene))


def starting_trigger(scene: Scene) -> ReingestTrigger:
    """Build the trigger of a task that starts in the triggerer."""
    return ReingestTrigger(ADDRESS, starts_here=True, timeout=scene.timeout, adaptive=False, **_usual(scene))


def contracts_trigger(scene: Scene) -> ReingestContractsTrigger:
    """Build the trigger for many collections."""
    digest = read_contracts(contracts(CONTRACTS)).digest("eth-mainnet")
    state = {"contracts": CONTRACTS, "digest": digest, "network": "eth-mainnet", "deadline": _deadline(scene)}
    return ReingestContractsTrigger(contracts(CONTRACTS), state, adaptive=False, **_usual(scene))


def next_attempt_trigger(_scene: Scene) -> NextAttemptTrigger:
    """Build the trigger that waits for the next try of a token."""
    return NextAttemptTrigger(pendulum.now("UTC").isoformat())


def fresh_trigger(scene: Scene) -> FreshnessTrigger:
    """Build the trigger that waits for fresh metadata."""
    since = freshness.minutes_ago(1).isoformat()
    chosen = {"fresh_since": since, "ids": f"0-{TOKENS - 1}"}
    state = {"contract_address": LOWER, "network": "eth-mainnet", "deadline": _deadline(scene), **chosen}
    return FreshnessTrigger(state, **_usual(scene))


def new_tokens_trigger(scene: Scene) -> NewTokensTrigger:
    """Build the trigger that waits for new tokens."""
    state = {
        "contract_address": LOWER,
        "network": "eth-mainnet",
        "deadline": _deadline(scene),
        "since_block": minting.FIRST,
        "next_block": minting.FIRST,
        "confirmations": minting.CONFIRMATIONS,
    }
    return NewTokensTrigger(state, **_usual(scene))


def collection(**arguments: Any) -> Callable[[Scene], Any]:
    """Build the operator for the tokens of a collection, in each scene anew."""

    def build(scene: Scene) -> Any:
        interval = PAUSE_SECONDS if arguments.get("deferrable") else POLL_SECONDS
        return refresh(
            alchemy_conn_id=scene.conn_id, **{"token_attempts": 2, "attempt_interval": interval, **arguments}
        )

    return build
