# SPDX-License-Identifier: Apache-2.0
"""A task that ends well tells its result with the event of the collection that is its outlet, and of no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset, AssetAlias
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_alchemy.assets import collection
from airflow_provider_alchemy.tasks.placement import ends_in_triggerer, is_configured
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.waits.reingest import RESULT_KEYS
from tests.conftest import TaskLog
from tests.tasks.batches import address
from tests.tasks.lives import ADDRESS, LOWER, OTHER_ADDRESS
from tests.tasks.outlets import ALL_KINDS, Build, Processes, batch, fresh, operator, refresh, sensor
from tests.tasks.placing import newest
from tests.tasks.tokens import short_intervals as short_intervals  # noqa: PLC0414 - a fixture

pytestmark = pytest.mark.integration

THIS = collection(ADDRESS)

EVENT_KEYS = {*RESULT_KEYS, "counts", "failed_in_part", "failed", "failures"}

WAYS: dict[str, tuple[Build, dict[str, Any]]] = {
    "operator in a worker": (operator, {}),
    "operator deferred": (operator, {"deferrable": True}),
    "sensor poking": (sensor, {}),
    "sensor rescheduled": (sensor, {"mode": "reschedule"}),
    "sensor deferred": (sensor, {"deferrable": True}),
    "tokens in a worker": (refresh, {}),
    "fresh poking": (fresh, {}),
    "fresh rescheduled": (fresh, {"mode": "reschedule"}),
    "fresh deferred": (fresh, {"deferrable": True}),
    "batch": (batch, {}),
}


@pytest.fixture
def collections(emulator: AlchemyEmulator) -> AlchemyEmulator:
    """Have a refresh that takes more than one look, and tokens."""
    emulator.set_default_job(running_seconds=0.2)
    emulator.set_collection(ADDRESS, tokens=10)
    return emulator


def extra_of(build: Build, asset: Any = THIS, **arguments: Any) -> dict[str, Any]:
    """Lead a task with an outlet to its end, each step in a process of its own, and give the event's extra."""
    processes = Processes(partial(build, **{"outlets": [asset], **arguments}))
    processes.lead()
    return processes.extra_of(asset)


@pytest.mark.usefixtures("collections")
@pytest.mark.parametrize("way", WAYS)
class TestEachWay:
    def test_the_event_tells_the_result(self, way: str) -> None:
        build, arguments = WAYS[way]
        processes = Processes(partial(build, outlets=[THIS], **arguments))

        result = processes.lead()

        extra = processes.extra_of(THIS)
        assert (extra["contract_address"], extra["network"], extra["state"]) == (LOWER, "eth-mainnet", "finished")
        assert (extra["submitted_at"], extra["finished_at"]) == (result["submitted_at"], result["finished_at"])
        assert (extra["progress"], extra["failed_in_part"], extra["failed"], extra["failures"]) == (100, False, 0, {})
        cost = extra.get("batch", extra)
        assert cost["compute_units"] == result["compute_units"] > 0
        assert cost["usd"] == result["usd"] == pytest.approx(result["compute_units"] * 0.45e-6)

    def test_its_keys_are_the_documented_ones(self, way: str) -> None:
        build, arguments = WAYS[way]

        assert set(extra_of(build, **arguments)) - {"batch"} == EVENT_KEYS

    def test_other_outlets_are_left_alone(self, way: str) -> None:
        build, arguments = WAYS[way]
        others = [
            collection(OTHER_ADDRESS),
            collection(ADDRESS, "base-mainnet"),
            Asset(f"s3://eth-mainnet/{LOWER}"),
            AssetAlias("punks"),
        ]
        processes = Processes(partial(build, outlets=[*others, THIS], **arguments))

        processes.lead()

        assert [processes.extra_of(other) for other in others] == [{}, {}, {}, {}]
        assert processes.extra_of(THIS)["state"] == "finished"

    def test_a_task_without_outlets_makes_no_event(self, way: str) -> None:
        build, arguments = WAYS[way]
        processes = Processes(partial(build, **arguments))

        processes.lead()

        assert len(processes.events) == 0


def test_tokens_that_are_tried_again_after_a_pause_in_the_triggerer_are_told(
    collections: AlchemyEmulator, short_intervals: float
) -> None:
    collections.set_tokens(ADDRESS, [3], stale_refreshes=1)
    processes = Processes(partial(refresh, outlets=[THIS], deferrable=True, attempt_interval=short_intervals))

    processes.lead()

    assert processes.pauses > 0
    assert processes.extra_of(THIS)["counts"]["refreshed"] == 10


class TestOneCollection:
    def test_a_task_that_does_not_wait_tells_the_state_as_it_is(self, collections: AlchemyEmulator) -> None:
        collections.set_default_job(queued_seconds=60)

        extra = extra_of(operator, wait_for_completion=False)

        assert (extra["state"] in {"queued", "already_queued"}, extra["finished_at"]) == (True, None)

    def test_the_network_is_the_connections(
        self, collections: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow_provider_alchemy.testing.plugin import CONNECTION_VARIABLE, connection_json  # noqa: PLC0415

        monkeypatch.setenv(CONNECTION_VARIABLE, connection_json(collections, network="base-mainnet"))
        there, here = collection(ADDRESS, "base-mainnet"), THIS
        processes = Processes(partial(sensor, outlets=[there, here]))

        processes.lead()

        assert (processes.extra_of(there)["network"], processes.extra_of(here)) == ("base-mainnet", {})

    def test_it_is_this_collection_however_it_is_written(self, collections: AlchemyEmulator) -> None:
        collections.set_default_job(running_seconds=0)
        asset = Asset(uri=f"alchemy://ETH-mainnet/{ADDRESS}")

        assert extra_of(sensor, asset, contract_address=LOWER)["state"] == "finished"

    @pytest.mark.skipif(not AIRFLOW_V_3_0_PLUS, reason="Airflow 2 has no names of assets")
    def test_it_is_this_collection_whatever_its_name(self, collections: AlchemyEmulator) -> None:
        collections.set_default_job(running_seconds=0)

        assert extra_of(sensor, collection(ADDRESS, name="punks"))["state"] == "finished"

    def test_what_the_author_put_there_before_stays(self, collections: AlchemyEmulator) -> None:
        collections.set_default_job(running_seconds=0)
        processes = Processes(partial(sensor, outlets=[THIS]), noted={"note": "ours"})

        processes.lead()

        extra = processes.extra_of(THIS)
        assert (extra["note"], extra["state"]) == ("ours", "finished")

    def test_no_key_is_in_it(self, collections: AlchemyEmulator) -> None:
        collections.set_default_job(running_seconds=0)

        assert collections.api_key not in json.dumps(extra_of(sensor))


class TestFailedInPart:
    def test_tokens_that_were_not_refreshed_are_told(self, collections: AlchemyEmulator) -> None:
        collections.set_tokens(ADDRESS, [3, 4], error="Token does not exist")

        extra = extra_of(refresh, max_failed=2)

        assert (extra["failed_in_part"], extra["failed"], sum(extra["failures"].values())) == (True, 2, 2)
        assert (extra["progress"], extra["counts"]["failed"]) == (80, 2)

    def test_tokens_that_are_not_fresh_are_told(self, collections: AlchemyEmulator) -> None:
        collections.set_tokens(ADDRESS, [3], error="Token does not exist")

        extra = extra_of(fresh, token_ids=[1, 2, 3], min_fresh=2)

        assert (extra["failed_in_part"], extra["failed"], extra["counts"]["fresh"]) == (True, 1, 2)

    @pytest.mark.parametrize("build", ALL_KINDS.values(), ids=ALL_KINDS)
    def test_a_task_that_fails_attaches_nothing(self, build: Build, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(outcome="does_not_exist")
        emulator.set_collection(ADDRESS, tokens=3)
        emulator.set_tokens(ADDRESS, [0, 1, 2], error="Token does not exist")
        arguments = {"token_ids": [0, 1, 2]} if build in {refresh, fresh} else {}
        processes = Processes(partial(build, outlets=[THIS], **arguments))

        with pytest.raises(Exception):  # noqa: B017, PT011 - which one is not what this is about
            processes.lead()

        assert processes.extra_of(THIS) == {}


class TestBatch:
    def test_each_collection_gets_its_own_part(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.1)
        emulator.set_job(address(1), outcome="does_not_exist")
        assets = [collection(address(number)) for number in range(4)]
        contracts = [address(number) for number in range(3)]
        processes = Processes(partial(batch, contract_addresses=contracts, max_failed=1, outlets=assets))

        result = processes.lead()

        good, bad, _, stranger = [processes.extra_of(asset) for asset in assets]
        assert (good["contract_address"], good["state"], good["failed_in_part"]) == (address(0), "finished", False)
        assert (bad["contract_address"], bad["state"], bad["failed_in_part"]) == (address(1), "does_not_exist", True)
        assert (bad["failures"], bad["finished_at"], bad["progress"]) == ({"does_not_exist": 1}, None, None)
        assert good["batch"] == bad["batch"]
        assert (good["batch"]["contracts"], good["batch"]["failed"]) == (3, 1)
        assert good["batch"]["compute_units"] == result["compute_units"] == emulator.compute_units
        assert (good["polls"], good["compute_units"], good["already_finished"]) == (None, None, None)
        assert stranger == {}

    @pytest.mark.usefixtures("quick_backoff")
    def test_the_state_of_one_that_failed_for_another_reason_is_unknown(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=60)

        extra = extra_of(batch, timeout=0.3, max_failed=1)

        assert (extra["state"], extra["failures"], extra["failed_in_part"]) == ("unknown", {"timeout": 1}, True)


@newest
@pytest.mark.parametrize("build", [operator, sensor], ids=["operator", "sensor"])
class TestWhereTheTaskEnds:
    """Airflow emits no asset event for a task that ends in the triggerer."""

    @pytest.fixture(autouse=True)
    def all_tasks_end_in_the_triggerer(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("AIRFLOW__ALCHEMY__END_FROM_TRIGGER", "True")
        is_configured.cache_clear()
        yield
        is_configured.cache_clear()

    def test_without_outlets_it_is_the_triggerer(self, build: Build) -> None:
        assert ends_in_triggerer(build(deferrable=True))

    def test_with_the_collection_as_outlet_it_is_a_worker(self, build: Build) -> None:
        assert not ends_in_triggerer(build(deferrable=True, outlets=[THIS]))

    def test_with_an_outlet_that_comes_later_it_is_a_worker(self, build: Build) -> None:
        task = build(deferrable=True)
        task.outlets = [THIS]

        assert not ends_in_triggerer(task)


def test_an_event_that_cannot_be_reached_does_not_fail_the_task(
    emulator: AlchemyEmulator, task_log: TaskLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.set_default_job(running_seconds=0)
    # Such as an outlet that only names its asset, where the API server does not know it.
    monkeypatch.setattr("tests.tasks.outlets.outlet_events", dict)

    result = Processes(partial(sensor, outlets=[THIS])).lead()

    assert result["state"] == "finished"
    assert "Could not add the result to the event of outlet" in task_log()
