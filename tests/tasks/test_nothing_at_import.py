# SPDX-License-Identifier: Apache-2.0
"""Parsing a DAG costs nothing: no network, no connection look-up, at import or in ``__init__``."""

from __future__ import annotations

import subprocess
import sys

import pytest

BUILD = """
import airflow.providers.common.compat.sdk
from airflow.providers.common.compat.sdk import BaseHook

def refused(*args, **kwargs):
    raise AssertionError("a look-up or a connection while a DAG is parsed")

BaseHook.get_connection = classmethod(refused)
import socket
socket.socket.connect = refused
socket.getaddrinfo = refused

from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.assets import collection
from airflow_provider_alchemy.sensors.new_tokens import NewTokensSensor
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger
from airflow_provider_alchemy.triggers.reingest import ReingestTrigger

address = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"
for kind in (ReingestContractOperator, ReingestSensor):
    for deferrable in (False, True):
        kind(task_id="task", contract_address=address, network="eth-mainnet", deferrable=deferrable)
for deferrable in (False, True):
    RefreshCollectionOperator(task_id="task", contract_address=address, token_ids=["1", 2], deferrable=deferrable)
    MetadataFreshSensor(task_id="task", contract_address=address, fresh_since="{{ ts }}", deferrable=deferrable)
    NewTokensSensor(task_id="task", contract_address=address, deferrable=deferrable, outlets=[collection(address)])
ReingestTrigger(contract_address=address).serialize()
MetadataUpdateTrigger([address]).serialize()
print("built")
"""


@pytest.mark.dag_run
def test_building_tasks_and_triggers_looks_nothing_up_and_connects_nowhere() -> None:
    done = subprocess.run([sys.executable, "-c", BUILD], capture_output=True, text=True, check=False)  # noqa: S603 - a script of this module

    assert (done.returncode, done.stdout.strip().splitlines()[-1:]) == (0, ["built"]), done.stderr[-2000:]


@pytest.mark.dag_run
@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [
        "operators.reingest",
        "operators.collection",
        "sensors.reingest",
        "sensors.freshness",
        "sensors.new_tokens",
        "triggers.chain",
        "assets",
    ],
)
def test_parsing_a_dag_loads_no_emulator(module: str) -> None:
    script = (
        f"import sys, airflow_provider_alchemy.{module}\n"
        "print([name for name in sys.modules if name.startswith('airflow_provider_alchemy.testing')])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - a script of this module

    assert done.stdout.strip().splitlines()[-1] == "[]"
