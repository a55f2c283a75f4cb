# SPDX-License-Identifier: Apache-2.0
"""Parsing a DAG costs next to nothing: no network, no connection look-up, few modules, at import or in ``__init__``."""

from __future__ import annotations

import subprocess
import sys

import pytest
from airflow.providers.common.compat.version_compat import get_base_airflow_version_tuple

AIRFLOW_V_3_3_PLUS = get_base_airflow_version_tuple() >= (3, 3)

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


LOADED = """
import airflow.sdk
import airflow.providers.common.compat.sdk
import sys
from airflow.sdk import DAG, AssetWatcher, BaseSensorOperator

with DAG("another", schedule=None):
    BaseSensorOperator(task_id="task")
before = set(sys.modules)
%s
new = {name.removeprefix("airflow_provider_alchemy.") for name in set(sys.modules) - before}
print(" ".join(sorted(name for name in new if not name.startswith("airflow."))))
"""

DAG_FILE = """
from airflow_provider_alchemy.assets import collection
from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator, ReingestContractsOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.sensors.new_tokens import NewTokensSensor
from airflow_provider_alchemy.sensors.reingest import ReingestSensor

one = {"task_id": "task", "contract_address": "0xe9fca552b9eb110c2d170962af740725f71f5644"}
with DAG("dag", schedule=None):
    ReingestContractOperator(**one)
    ReingestContractsOperator(task_id="many", contract_addresses=[one["contract_address"]])
    RefreshCollectionOperator(**one | {"task_id": "tokens"}, outlets=[collection(one["contract_address"])])
    ReingestSensor(**one | {"task_id": "wait"}, deferrable=True)
    MetadataFreshSensor(**one | {"task_id": "fresh"}, fresh_since="{{ ts }}")
    NewTokensSensor(**one | {"task_id": "new"})
"""

WATCHER = """
from airflow_provider_alchemy.assets import collection
from airflow_provider_alchemy.triggers.batch import ReingestContractsTrigger
from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger
from airflow_provider_alchemy.triggers.reingest import ReingestTrigger
from airflow_provider_alchemy.triggers.wait import FreshnessTrigger, NewTokensTrigger

address = "0xe9fca552b9eb110c2d170962af740725f71f5644"
collection(address, watchers=[AssetWatcher(name="watcher", trigger=MetadataUpdateTrigger([address]))])
"""

RESUMED = """
from airflow_provider_alchemy.sensors.reingest import ReingestSensor

address = "0xe9fca552b9eb110c2d170962af740725f71f5644"
state = {"contract_address": address, "network": "eth-mainnet", "status": "finished", "polls": 3}
sensor = ReingestSensor(task_id="task", contract_address=address, deferrable=True)
event = {"status": "finished", "state": state, "error": None}
assert sensor.resume_execution("execute_complete", {"event": event}, {})["state"] == "finished"
"""


def loaded(script: str) -> set[str]:
    """Run a part of a DAG file in a fresh interpreter; give what it loads beside Airflow's own modules."""
    done = subprocess.run([sys.executable, "-c", LOADED % script], capture_output=True, text=True, check=False)  # noqa: S603 - a script of this module

    assert done.returncode == 0, done.stderr[-2000:]
    return set(done.stdout.strip().splitlines()[-1].split())


@pytest.mark.dag_run
@pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="earlier ones load more and less")
def test_a_dag_file_with_every_operator_and_sensor_loads_these_modules_and_nothing_else() -> None:
    assert loaded(DAG_FILE) == {
        *(
            "api",
            "api.errors",
            "api.inputs",
            "api.logs",
            "api.packing",
            "api.redaction",
            "assets",
            "assets.uris",
            "defaults",
        ),
        *("links", "links.collection", "operators", "operators.collection", "operators.reingest"),
        *("sensors", "sensors.freshness", "sensors.new_tokens", "sensors.reingest"),
        *("tasks", "tasks.arguments", "tasks.base", "tasks.batch", "tasks.collection", "tasks.deferral"),
        *("tasks.exceptions", "tasks.lazy", "tasks.placement", "tasks.reingest", "tasks.store", "tasks.waiting"),
    }


@pytest.mark.dag_run
@pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="earlier ones know no watchers")
@pytest.mark.parametrize("script", [WATCHER, RESUMED], ids=["every trigger", "a worker that resumes"])
def test_no_http_and_no_checksum_library_is_loaded_by(script: str) -> None:
    packages = {name.partition(".")[0] for name in loaded(script)}

    assert not packages & {"aiohttp", "requests", "urllib3", "yarl", "Crypto", "eth_utils", "stamina"}


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
