# SPDX-License-Identifier: Apache-2.0
"""The example DAGs import cleanly and run to their end against the emulator."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models.dagbag import DagBag
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_alchemy.chain.events import payload_of
from airflow_provider_alchemy.tasks.base import event_of
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.chain.scenes import NETWORK, log
from tests.tasks.dag_runs import run
from tests.tasks.outlets import run_known
from tests.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_database")]

COLLECTION = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"
FOLDER = Path(__file__).parents[2] / "example_dags"
ON_AIRFLOW_3 = "alchemy_refresh_on_reveal"
"""Airflow 2 knows no watchers of assets."""

ALL_DAG_IDS = [
    "alchemy_new_tokens",
    "alchemy_nightly_batch",
    "alchemy_nightly_refresh",
    "alchemy_nightly_tokens",
    "alchemy_publish_revealed",
    "alchemy_refresh_after_reveal",
    "alchemy_refresh_minted",
    ON_AIRFLOW_3,
    "alchemy_submit_and_wait",
    "alchemy_tokens_after_reveal",
]
DAG_IDS = [dag_id for dag_id in ALL_DAG_IDS if AIRFLOW_V_3_0_PLUS or dag_id != ON_AIRFLOW_3]


def load() -> Any:
    return DagBag(dag_folder=str(FOLDER))


def quick(dag: Any) -> Any:
    """Let a DAG's waits poll in tenths of a second: its own intervals suit a service that takes hours."""
    for task in dag.tasks:
        for name in ("poll_interval", "poke_interval"):
            if name in getattr(task, "partial_kwargs", {}):
                task.partial_kwargs[name] = 0.1
            elif hasattr(task, name):
                setattr(task, name, 0.1)
    return dag


@pytest.fixture
def emulator(emulator: AlchemyEmulator) -> AlchemyEmulator:
    emulator.set_default_job(queued_seconds=0.1, running_seconds=0.2)
    return emulator


def test_they_import_without_an_error() -> None:
    bag = load()

    errors = {name: text for name, text in bag.import_errors.items() if AIRFLOW_V_3_0_PLUS or ON_AIRFLOW_3 not in name}
    assert errors == {}
    assert sorted(bag.dags) == DAG_IDS


def test_there_is_a_test_for_each_file() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == ALL_DAG_IDS


def test_they_import_without_a_warning_about_our_code() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load()

    ours = [warning for warning in caught if "alchemy" in warning.filename]
    assert [str(warning.message) for warning in ours] == []


@pytest.mark.usefixtures("emulator")
def test_submit_then_wait_publishes_the_fresh_collection() -> None:
    done = run(quick(load().dags["alchemy_refresh_after_reveal"]))

    assert done.state == "success"
    assert "is fresh since" in done["publish"].result
    assert "0xe9fca552b9eb110c2d170962af740725f71f5644" in done["publish"].result


@pytest.mark.usefixtures("emulator")
def test_submit_and_wait_in_one_task_finishes() -> None:
    done = run(quick(load().dags["alchemy_submit_and_wait"]))

    assert (done.state, done["refresh"].result["state"]) == ("success", "finished")


class TestTheNightlyRefresh:
    @pytest.mark.usefixtures("emulator")
    def test_its_summary_accounts_for_every_collection_and_unit(self, emulator: AlchemyEmulator) -> None:
        done = run(quick(load().dags["alchemy_nightly_refresh"]))

        assert done["summarize"].result == {"finished": 5, "failed": [], "compute_units": emulator.compute_units}

    def test_its_summary_names_what_failed(self, emulator: AlchemyEmulator) -> None:
        address = "0x60E4d786628Fea6478F785A6d7e704777c86a7c6"
        emulator.set_job(address, outcome="does_not_exist")

        done = run(quick(load().dags["alchemy_nightly_refresh"]))

        assert (done["summarize"].result["finished"], done["summarize"].result["failed"]) == (4, [address])


class TestTheNightlyBatch:
    @pytest.mark.usefixtures("emulator")
    def test_its_report_accounts_for_every_collection_and_unit(self, emulator: AlchemyEmulator) -> None:
        done = run(quick(load().dags["alchemy_nightly_batch"]))

        assert done.state == "success"
        assert done["report"].result == f"3 of 3 fresh, failed: {{}}, {emulator.compute_units} units."

    def test_its_report_comes_also_where_too_many_failed(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job("0xBC4CA0EdA7647A8aB7C2061c2E118A18a936f13D", outcome="does_not_exist")

        done = run(quick(load().dags["alchemy_nightly_batch"]))

        assert "2 of 3 fresh, failed: {'does_not_exist': 1}" in done["report"].result


class TestTheTokens:
    def test_after_a_reveal_they_are_refreshed_and_proven(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection("0xE9FCa552b9eb110c2d170962aF740725F71F5644", tokens=250)

        done = run(quick(load().dags["alchemy_tokens_after_reveal"]))

        assert done["publish"].result.startswith("250 of 250 tokens refreshed for 3400 compute units; 100 of 100")

    def test_after_a_mint_only_the_new_ones_are_asked_for(self, emulator: AlchemyEmulator) -> None:
        done = run(quick(load().dags["alchemy_refresh_minted"]))

        assert (done.state, set(emulator.asked_tokens())) == ("success", {7, 8, 9})
        assert set(done["export"].result) == {"7", "8", "9"}

    def test_minted_ones_are_waited_for_refreshed_and_exported(self, emulator: AlchemyEmulator) -> None:
        emulator.configure(block_seconds=0.05)

        def mint_when_waited_for() -> None:
            eventually(lambda: emulator.count("eth_blockNumber") > 0)
            emulator.mint(COLLECTION, [12_000, 12_001])

        minter = threading.Thread(target=mint_when_waited_for)
        minter.start()
        done = run_known(quick(load().dags["alchemy_new_tokens"]))
        minter.join()

        assert (done.state, set(emulator.asked_tokens())) == ("success", {12_000, 12_001})
        assert set(done["export"].result) == {"12000", "12001"}

    def test_every_night_they_are_refreshed_within_the_limit(self, emulator: AlchemyEmulator) -> None:
        dag = quick(load().dags["alchemy_nightly_tokens"])
        addresses = dag.get_task("summarize").op_args[0]
        for address in addresses:
            emulator.set_collection(address, tokens=120)
        emulator.set_collection(addresses[1], tokens=100_000)

        told = run(dag)["summarize"].result

        fresh = [address.lower() for address in (addresses[0], addresses[2])]
        assert (told["refreshed"], told["refused"]) == (dict.fromkeys(fresh, 120), [addresses[1]])
        assert told["compute_units"] == emulator.compute_units - 160


@pytest.mark.skipif(not AIRFLOW_V_3_0_PLUS, reason="Airflow 2 knows no watchers of assets")
class TestTheReveal:
    def test_the_collection_is_refreshed_and_proven(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(COLLECTION, tokens=120)

        done = run_known(quick(load().dags[ON_AIRFLOW_3]))

        assert (done.state, len(emulator.asked_tokens("getNFTMetadataBatch"))) == ("success", 120)

    def test_what_started_it_is_told_as_the_chain_has_announced_it(self) -> None:
        task = load().dags[ON_AIRFLOW_3].get_task("announced")
        event = SimpleNamespace(extra={"from_trigger": True, "payload": payload_of(NETWORK, [log(7, tokens=(0, 99))])})

        (told,) = task.python_callable(triggering_asset_events={"announced_on_chain": [event]})

        assert told.startswith("block 7: tokens 0 to 99 changed (eth-mainnet:0x")

    @pytest.mark.parametrize(("stale", "words"), [(0, ""), (3, " (in part)")])
    def test_the_next_dag_reads_how_the_refresh_went(self, stale: int, words: str) -> None:
        dag = load().dags["alchemy_publish_revealed"]
        result = {"contract_address": COLLECTION.lower(), "finished_at": "now", "counts": {"stale": stale}}
        event = SimpleNamespace(extra=event_of(result))

        told = dag.get_task("publish").python_callable(triggering_asset_events={"collection": [event]})

        assert told == f"{COLLECTION.lower()} is fresh since now{words}"

    def test_what_the_first_dag_tells_is_what_the_second_one_waits_for(self) -> None:
        first, second = (load().dags[dag_id] for dag_id in (ON_AIRFLOW_3, "alchemy_publish_revealed"))

        (outlet,) = [outlet for task in first.tasks for outlet in task.outlets]

        assert [asset.uri for asset in second.timetable.asset_condition.objects] == [outlet.uri]
        assert [asset.uri for asset in first.timetable.asset_condition.objects] == ["announced_on_chain"]
