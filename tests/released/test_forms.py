# SPDX-License-Identifier: Apache-2.0
"""Triggers, events and saved states have the form of the first release, and today's code reads it."""

from __future__ import annotations

import inspect
import json
import pkgutil
from importlib import import_module
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger

import airflow_provider_alchemy.triggers
from airflow_provider_alchemy.api.errors import error_from_dict
from airflow_provider_alchemy.api.packing import pack_addresses
from airflow_provider_alchemy.chain.watch import AssetCursors
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator, ReingestContractsOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.sensors.new_tokens import NewTokensSensor
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.tokens.state import CollectionState
from airflow_provider_alchemy.triggers.wait import SerializableTrigger, WaitTrigger
from airflow_provider_alchemy.waits.wait import from_json, to_json
from tests.released.forms import BEGAN_AT, CONTRACT, CONTRACTS, FILE, NETWORK, forms, tokens, waits
from tests.tasks.lives import context_of

KEPT = json.loads(FILE.read_text(encoding="utf-8"))

_ONE = {"contract_address": CONTRACT}
TASKS: list[tuple[Any, str, dict[str, Any]]] = [
    (ReingestSensor, "alchemy_reingest", _ONE),
    (ReingestContractOperator, "alchemy_reingest", _ONE),
    (MetadataFreshSensor, "alchemy_freshness", {**_ONE, "fresh_since": BEGAN_AT, "sample_size": 4, "seed": 7}),
    (NewTokensSensor, "alchemy_new_tokens", _ONE),
    (ReingestContractsOperator, "alchemy_batch", {"contract_addresses": CONTRACTS, "max_failed": 1}),
]
"""Each task that a wait's event reaches, with the key of its state and its arguments."""


def test_what_goes_through_the_database_is_as_in_the_first_release() -> None:
    advice = "look at each place: what an earlier version wrote must be read. Then: python -m tests.released.forms"

    assert forms() == KEPT, advice


def test_each_trigger_is_kept() -> None:
    package, found = airflow_provider_alchemy.triggers, set()
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for name, value in vars(import_module(module.name)).items():
            is_ours = inspect.isclass(value) and value.__module__ == module.name
            if is_ours and issubclass(value, BaseTrigger) and value not in {SerializableTrigger, WaitTrigger}:
                found.add(f"{module.name}.{name}")

    assert {path for path, _ in KEPT["triggers"]} == found


@pytest.mark.parametrize(("path", "arguments"), KEPT["triggers"], ids=lambda kept: str(kept).rpartition(".")[2][:40])
def test_a_kept_trigger_is_built_again(path: str, arguments: dict[str, Any]) -> None:
    module, name = path.rsplit(".", 1)
    trigger = getattr(import_module(module), name)(**arguments)

    assert json.loads(json.dumps(trigger.serialize())) == [path, arguments]


@pytest.mark.parametrize("key", waits())
def test_a_kept_state_is_read_in_whole(key: str) -> None:
    written, kept = waits()[key], KEPT["saved"][key]["state"]

    state = from_json(type(written), kept)

    assert state == written
    assert to_json(state) == kept


def test_a_kept_state_of_tokens_is_read_and_what_was_under_way_is_asked_for_again() -> None:
    state, written = CollectionState.from_dict(KEPT["saved"]["alchemy_collection"]["state"]), tokens()

    assert state is not None
    assert (state.remaining, state.unproven, state.failed) == (written.remaining, written.unproven, written.failed)
    assert (state.refreshed, state.next_key, state.in_flight) == (98, "0x64", [])


def test_a_kept_error_and_a_kept_cursor_are_read() -> None:
    (slot,) = KEPT["alchemy_chain"]["slots"]

    assert error_from_dict(KEPT["error"]).to_dict() == KEPT["error"]
    assert AssetCursors.from_json(KEPT["alchemy_chain"]).cursor_of(slot, [CONTRACT]) == {CONTRACT: 20_000_000}


@pytest.mark.parametrize(("task_class", "key", "arguments"), TASKS)
def test_a_task_of_today_ends_with_an_event_that_was_stored(task_class: Any, key: str, arguments: Any) -> None:
    task = task_class(task_id="kept", network=NETWORK, **arguments)
    event = {"status": "finished", "state": KEPT["saved"][key]["state"], "error": None}
    kept = {"contract_addresses": pack_addresses(CONTRACTS)} if key == "alchemy_batch" else {}

    result = task.resume_execution("execute_complete", {**kept, "event": event}, context_of())

    assert (result["network"], result["polls"], result["compute_units"]) == (NETWORK, 3, 1_440)
