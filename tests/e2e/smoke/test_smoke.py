# SPDX-License-Identifier: Apache-2.0
"""Each operator and sensor waits and ends on real processes, whatever becomes of the triggerer, and shows no key."""

from __future__ import annotations

import pytest

from airflow_provider_alchemy.waits.reingest import RESULT_KEYS
from tests.e2e.smoke.conftest import COLLECTION_SIZE, MINTED_TOKEN, STALE, Stage
from tests.e2e.smoke.dags.smoke import (
    BATCH,
    BATCH_CONTRACTS,
    DEFERRED,
    DEFERRED_SENSOR,
    FRESH,
    MINTED,
    MODES,
    OPERATOR,
    REFRESHED,
    TOKENS,
    address_of,
)
from tests.key_search import places_of

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("task_id", [*DEFERRED, *(mode for mode in MODES if mode not in DEFERRED)])
def test_each_task_ends_well(stage: Stage, task_id: str) -> None:
    assert stage.task(task_id).state == "success"


@pytest.mark.parametrize("task_id", DEFERRED)
def test_a_deferred_task_leaves_its_worker(stage: Stage, task_id: str) -> None:
    assert "Pausing task as DEFERRED" in stage.log(task_id)


@pytest.mark.parametrize("task_id", [OPERATOR, *MODES])
def test_the_result_of_a_refresh_is_the_same_in_each_form(stage: Stage, task_id: str) -> None:
    result = stage.result(task_id)

    assert (set(result), result["state"], result["already_finished"]) == (set(RESULT_KEYS), "finished", False)


def test_the_batch_loses_no_contract(stage: Stage) -> None:
    assert stage.result(BATCH)["finished"] == BATCH_CONTRACTS


def test_the_stale_tokens_are_proven_after_a_pause_in_the_triggerer(stage: Stage) -> None:
    counts = {"tokens": COLLECTION_SIZE, "refreshed": COLLECTION_SIZE, "stale": 0, "failed": 0}
    asked = stage.emulator.asked_tokens("getNFTMetadataBatch", address_of(TOKENS))

    assert stage.result(TOKENS)["counts"] == counts
    assert sorted(token_id for token_id, times in asked.items() if times > 1) == list(STALE)


def test_the_proof_finds_fresh_metadata(stage: Stage) -> None:
    assert stage.result(FRESH)["state"] == "finished"


def test_the_wait_for_a_mint_ends_with_its_token(stage: Stage) -> None:
    assert str(MINTED_TOKEN) in str(stage.result(MINTED))


def test_the_dag_starts_with_what_was_announced_while_the_triggerer_was_gone(stage: Stage) -> None:
    assert stage.airflow.xcom(stage.started, "announced") == [stage.revealed.id]


def test_the_triggerer_is_killed_before_any_wait_ends_and_the_next_one_polls(stage: Stage) -> None:
    for contract in (address_of(OPERATOR), address_of(DEFERRED_SENSOR), *BATCH_CONTRACTS):
        calls = [call for call in stage.emulator.calls if call.matches(None, contract)]

        assert "finished" not in {call.state for call in calls if call.at < stage.killed_at}
        assert any(call.at > stage.killed_at for call in calls)


def test_the_terminal_answer_of_each_refresh_is_its_last(stage: Stage) -> None:
    for contract in REFRESHED:
        states = [call.state for call in stage.emulator.calls if call.matches(None, contract)]

        assert states.index("finished") == len(states) - 1


def places(text: str, stage: Stage) -> list[str]:
    shown = {"the emulator": repr(stage.emulator), "its calls": "".join(map(repr, stage.emulator.calls))}
    airflow = stage.airflow
    found = places_of(text, folder=airflow.home, database_url=airflow.database_url, texts=shown)
    return [str(place) for place in found]


def test_the_key_is_nowhere(stage: Stage, api_key: str) -> None:
    assert places(api_key, stage) == []


def test_the_same_search_finds_a_contract_in_files_rows_and_calls(stage: Stage) -> None:
    found = places(address_of(OPERATOR), stage)

    for where in ("file logs/dag_id=", "table ", "its calls"):
        assert any(place.startswith(where) for place in found), (where, found)
