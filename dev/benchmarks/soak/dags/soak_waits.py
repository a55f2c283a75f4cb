# SPDX-License-Identifier: Apache-2.0
"""The waits of a soak: a DAG for each kind, whose runs are told their collection by a parameter."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import AssetWatcher, Param

from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator, ReingestContractsOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.sensors.new_tokens import NewTokensSensor
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger
from dev.benchmarks.soak.kinds import (
    CONFIRMATIONS,
    CONTRACT,
    CONTRACTS,
    LITERAL_CONTRACTS,
    SAMPLE,
    SINCE,
    SINCE_BLOCK,
    TASK,
    WATCHED,
    WATCHED_CONTRACT,
    Kind,
)

START = pendulum.datetime(2026, 1, 1, tz="UTC")
POLL_SECONDS = 3
LIMIT_SECONDS = 600
"""Longer than any wait takes, the service's trouble included."""
SHORT_LIMIT_SECONDS = 12

IN_TRIGGERER: dict[str, Any] = {"start_from_trigger": True, "end_from_trigger": True}
DEFERRED: dict[str, Any] = {"deferrable": True, "start_from_trigger": False, "end_from_trigger": False}
OF_ONE: dict[str, Any] = {"contract_address": f"{{{{ params.{CONTRACT} }}}}"}


def new_dag(kind: Kind, *parameters: str) -> DAG:
    is_literal = kind in LITERAL_CONTRACTS
    params = {} if is_literal else {name: Param("", type="string") for name in parameters}
    return DAG(kind.value, schedule=None, start_date=START, params=params, max_active_runs=1 if is_literal else 100)


def of_one(kind: Kind) -> dict[str, Any]:
    return {"contract_address": LITERAL_CONTRACTS[kind]} if kind in LITERAL_CONTRACTS else OF_ONE


def sensor(kind: Kind, **arguments: Any) -> None:
    defaults = {"poke_interval": POLL_SECONDS, "timeout": LIMIT_SECONDS, "retries": 0}
    with new_dag(kind, CONTRACT):
        ReingestSensor(task_id=TASK, **of_one(kind), **(defaults | arguments))


def operator(kind: Kind, **arguments: Any) -> None:
    defaults = {"wait_for_completion": True, "poll_interval": POLL_SECONDS, "timeout": LIMIT_SECONDS, "retries": 0}
    with new_dag(kind, CONTRACT):
        ReingestContractOperator(task_id=TASK, **of_one(kind), **(defaults | arguments))


sensor(Kind.SENSOR, **DEFERRED)
sensor(Kind.SENSOR_IN_TRIGGERER, **IN_TRIGGERER, adaptive=False)
sensor(Kind.QUEUE_FAILED, **DEFERRED)
sensor(Kind.DOES_NOT_EXIST, **IN_TRIGGERER)
sensor(Kind.TIMED_OUT, **DEFERRED | {"timeout": SHORT_LIMIT_SECONDS})
operator(Kind.OPERATOR, **DEFERRED)
operator(Kind.OPERATOR_IN_TRIGGERER, **IN_TRIGGERER, adaptive=False)
operator(Kind.RESUBMITTED, **DEFERRED)

with new_dag(Kind.BATCH, CONTRACTS):
    ReingestContractsOperator(
        task_id=TASK,
        contract_addresses=f"{{{{ params.{CONTRACTS} }}}}",
        poll_interval=POLL_SECONDS,
        timeout=LIMIT_SECONDS,
        retries=0,
    )

with new_dag(Kind.COLLECTION, CONTRACT):
    RefreshCollectionOperator(task_id=TASK, **OF_ONE, deferrable=True, retries=0)

with new_dag(Kind.FRESH, CONTRACT, SINCE):
    MetadataFreshSensor(
        task_id=TASK,
        **OF_ONE,
        fresh_since=f"{{{{ params.{SINCE} }}}}",
        sample_size=SAMPLE,
        deferrable=True,
        poke_interval=POLL_SECONDS,
        timeout=LIMIT_SECONDS,
        retries=0,
    )

with new_dag(Kind.MINTED, CONTRACT, SINCE_BLOCK):
    NewTokensSensor(
        task_id=TASK,
        **OF_ONE,
        since_block=f"{{{{ params.{SINCE_BLOCK} }}}}",
        confirmations=CONFIRMATIONS,
        deferrable=True,
        poke_interval=POLL_SECONDS,
        timeout=LIMIT_SECONDS,
        retries=0,
    )

ANNOUNCED = Asset(
    WATCHED,
    watchers=[
        AssetWatcher(
            name=WATCHED,
            trigger=MetadataUpdateTrigger([WATCHED_CONTRACT], confirmations=CONFIRMATIONS, poll_interval=POLL_SECONDS),
        )
    ],
)

with DAG(WATCHED, schedule=[ANNOUNCED], start_date=START, max_active_runs=100):
    EmptyOperator(task_id=TASK)
