# SPDX-License-Identifier: Apache-2.0
"""The sensor of new tokens in whole DAG runs: templates, XComs, mapping, and the operator that takes its tokens."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.sensors.new_tokens import NewTokensSensor
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.sensors.minting import CONFIRMATIONS, FIRST, has_looked, mint
from tests.tasks.dag_runs import new_dag, run
from tests.tasks.lives import ADDRESS, LOWER, MODES, OTHER_ADDRESS, once

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_database")]


@pytest.fixture(autouse=True)
def blocks_on_command(emulator: AlchemyEmulator) -> None:
    emulator.configure(block_seconds=None)


def arguments_in(mode: str, **arguments: Any) -> dict[str, Any]:
    mode_arguments = {"mode": "reschedule" if mode == "reschedule" else "poke", "deferrable": mode == "deferred"}
    defaults = {"contract_address": ADDRESS, "confirmations": CONFIRMATIONS, "poke_interval": 0.1, "timeout": 3600}
    return {**defaults, **mode_arguments, **arguments}


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_tokens_that_are_minted_while_it_waits_are_its_result(
    mode: str, native: bool, emulator: AlchemyEmulator
) -> None:
    with new_dag(render_template_as_native_obj=native) as dag:
        NewTokensSensor(task_id="minted", since_block="{{ 20000000 }}", **arguments_in(mode))

    with once(has_looked(emulator, 2), lambda: mint(emulator, [5, 7])):
        done = run(dag)

    assert (done.state, done["minted"].result["token_ids"]) == ("success", ["5", "7"])
    assert set(done["minted"].xcoms) == {"contract_address", "token_ids", "return_value"}


@pytest.mark.parametrize("native", [False, True])
def test_the_start_of_the_run_may_be_the_moment(native: bool, emulator: AlchemyEmulator) -> None:
    mint(emulator, [1])
    with new_dag(render_template_as_native_obj=native) as dag:
        NewTokensSensor(
            task_id="minted", since="{{ dag_run.start_date - macros.timedelta(hours=1) }}", **arguments_in("poke")
        )

    assert run(dag)["minted"].result["token_ids"] == ["1"]


@pytest.mark.parametrize("mode", MODES)
def test_the_operator_refreshes_the_tokens_that_were_minted(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_collection(ADDRESS, tokens=3)
    mint(emulator, [100, 2**200])
    with new_dag() as dag:
        wait: Any = NewTokensSensor(task_id="wait", since_block=FIRST, **arguments_in(mode))
        listed = RefreshCollectionOperator(
            task_id="listed", contract_address=ADDRESS, token_ids=wait.output["token_ids"]
        )
        whole = RefreshCollectionOperator(task_id="whole", contract_address=ADDRESS, token_ids=wait.output)
        template = "{{ ti.xcom_pull('wait') }}"
        rendered = RefreshCollectionOperator(task_id="rendered", contract_address=ADDRESS, token_ids=template)
        listed >> whole >> rendered

    done = run(dag)

    assert done["wait"].result["token_ids"] == ["100", str(2**200)]
    assert [done[name].result["counts"]["refreshed"] for name in ("listed", "whole", "rendered")] == [2, 2, 2]
    assert {token for call in emulator.calls for token in call.token_ids} == {100, 2**200}


def test_the_proof_takes_its_tokens_too_and_the_next_wait_its_block(emulator: AlchemyEmulator) -> None:
    mint(emulator, [7])
    with new_dag() as dag:
        wait: Any = NewTokensSensor(task_id="wait", since_block=FIRST, multiple_outputs=True, **arguments_in("poke"))
        refresh = RefreshCollectionOperator(task_id="refresh", contract_address=ADDRESS, token_ids=wait.output)
        moment: Any = wait.output["submitted_at"]
        prove: Any = MetadataFreshSensor(
            task_id="prove",
            contract_address=ADDRESS,
            fresh_since=moment,
            token_ids=wait.output,
            poke_interval=0.1,
            timeout=3600,
        )
        following = NewTokensSensor(task_id="following", since_block=wait.output["next_block"], **arguments_in("poke"))
        wait >> refresh >> prove >> following

    with once(has_looked(emulator, 2), lambda: mint(emulator, [8])):
        done = run(dag)

    assert done["prove"].result["token_ids"] == ["7"]
    assert done["following"].result["token_ids"] == ["8"]
    assert done["following"].result["since_block"] == done["wait"].result["next_block"]


@pytest.mark.parametrize("mode", MODES)
def test_mapped_tasks_each_wait_for_their_own_collection(mode: str, emulator: AlchemyEmulator) -> None:
    mint(emulator, [1])
    emulator.mint(OTHER_ADDRESS, [2, 3])
    emulator.mine_blocks(CONFIRMATIONS)
    arguments = arguments_in(mode, since_block=FIRST)
    del arguments["contract_address"]
    with new_dag() as dag:
        NewTokensSensor.partial(task_id="minted", **arguments).expand(contract_address=[ADDRESS, OTHER_ADDRESS])

    mapped = run(dag).mapped("minted")

    assert [one.result["token_ids"] for one in mapped] == [["1"], ["2", "3"]]
    assert (mapped[0].result["contract_address"], mapped[0].label) == (LOWER, ADDRESS)


@pytest.mark.usefixtures("emulator")
def test_soft_fail_skips_a_timeout() -> None:
    with new_dag() as dag:
        NewTokensSensor(task_id="minted", soft_fail=True, **arguments_in("deferred", timeout=0.3))

    assert run(dag)["minted"].state == "skipped"
