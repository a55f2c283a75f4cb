# SPDX-License-Identifier: Apache-2.0
"""Tokens are refreshed and proven on a real Airflow, also where a worker is killed in the middle."""

from __future__ import annotations

import pytest

from airflow_provider_alchemy.waits.reingest import RESULT_KEYS
from tests.e2e.tokens.conftest import BATCH, Stage
from tests.e2e.tokens.dags.tokens import (
    DAG_IDS,
    FAILED,
    FALLBACK,
    FRESH,
    GONE,
    KILLED,
    MINTED,
    PAUSED,
    QUEUED,
    TOKENS,
    address_of,
)
from tests.key_search import places_of

pytestmark = pytest.mark.e2e

MOST_ASKED_AGAIN = 0.1
"""Of the tokens of a refresh whose worker was killed."""


def all_refreshed(tokens: int) -> dict[str, int]:
    return {"tokens": tokens, "refreshed": tokens, "stale": 0, "failed": 0}


class TestAWorkerThatIsKilled:
    def test_the_retry_ends_the_refresh(self, stage: Stage) -> None:
        task = stage.task(KILLED)

        assert (task.state, task.try_number) == ("success", 2)

    def test_no_token_is_missing_and_none_is_counted_twice(self, stage: Stage) -> None:
        assert stage.result(KILLED)["counts"] == all_refreshed(TOKENS[KILLED])

    def test_every_token_was_asked_for(self, stage: Stage) -> None:
        stage.ended(KILLED)

        assert set(stage.emulator.asked_tokens(BATCH, address_of(KILLED))) == set(range(TOKENS[KILLED]))

    def test_few_tokens_were_asked_for_again(self, stage: Stage) -> None:
        stage.ended(KILLED)
        asked = stage.emulator.asked_tokens(BATCH, address_of(KILLED))

        assert sum(times > 1 for times in asked.values()) <= MOST_ASKED_AGAIN * TOKENS[KILLED]

    def test_the_log_of_the_retry_tells_what_is_left(self, stage: Stage) -> None:
        assert "tokens fresh: asking for the others only" in stage.log(KILLED, try_number=2)


class TestAPauseBetweenTwoTries:
    def test_the_task_waits_in_the_triggerer(self, stage: Stage) -> None:
        log = stage.log(PAUSED)

        assert "refreshing 20 tokens in 30 s (attempt 2): 20 stale" in log
        assert "Waiting in the triggerer for " in log

    def test_all_tokens_are_proven_in_the_end(self, stage: Stage) -> None:
        assert stage.result(PAUSED)["counts"] == all_refreshed(TOKENS[PAUSED])

    def test_only_the_stale_ones_are_asked_for_again(self, stage: Stage) -> None:
        stage.ended(PAUSED)
        asked = stage.emulator.asked_tokens(BATCH, address_of(PAUSED))

        assert sorted(token_id for token_id, times in asked.items() if times > 1) == list(range(20))


def test_queued_tokens_are_proven_by_reading(stage: Stage) -> None:
    result = stage.result(QUEUED)

    assert (result["method"], result["counts"]) == ("queue", all_refreshed(TOKENS[QUEUED]))


def test_of_ids_from_another_task_each_is_asked_for_once(stage: Stage) -> None:
    assert stage.result(MINTED)["counts"] == all_refreshed(3)
    assert set(stage.emulator.asked_tokens(BATCH, address_of(MINTED)).items()) == {(7, 1), (8, 1), (9, 1)}


class TestATokenThatCannotBeRefreshed:
    def test_the_task_fails_without_a_retry(self, stage: Stage) -> None:
        task = stage.task(FAILED)

        assert (task.state, task.try_number) == ("failed", 1)

    def test_the_result_is_there_all_the_same(self, stage: Stage) -> None:
        assert stage.result(FAILED)["failures"] == {"no_such_token": {"tokens": 1, "token_ids": ["3"]}}

    def test_the_log_tells_which_and_what_to_do(self, stage: Stage) -> None:
        assert "1 of 120 tokens are not proven fresh (1 no_such_token)" in stage.log(FAILED)


@pytest.mark.parametrize("dag_id", FRESH)
class TestTheProofAfterARefresh:
    def test_the_sensor_succeeds_in_each_mode(self, stage: Stage, dag_id: str) -> None:
        result = stage.result(dag_id, "prove")

        assert (result["state"], result["counts"]["fresh"], len(result["token_ids"])) == ("finished", 50, 50)

    def test_it_refreshes_nothing(self, stage: Stage, dag_id: str) -> None:
        stage.ended(dag_id)
        refreshes = [
            call for call in stage.emulator.calls if call.matches(BATCH, address_of(dag_id)) and call.refreshes
        ]

        assert len(refreshes) == TOKENS[dag_id] // 100


class TestReingestContractIsGone:
    def test_the_error_shows_the_line_to_write(self, stage: Stage) -> None:
        log = stage.log(GONE)

        assert "RefreshCollectionOperator(" in log
        assert address_of(GONE) in log

    def test_it_is_not_retried(self, stage: Stage) -> None:
        assert stage.task(GONE).try_number == 1

    def test_the_fallback_refreshes_the_tokens(self, stage: Stage) -> None:
        result = stage.result(FALLBACK)

        assert (set(result), result["state"], result["progress"]) == (set(RESULT_KEYS), "finished", 100)
        assert len(stage.emulator.asked_tokens(BATCH, address_of(FALLBACK))) == TOKENS[FALLBACK]


def test_each_result_tells_the_units_that_the_service_counted(stage: Stage) -> None:
    told = {dag_id: stage.result(dag_id)["compute_units"] for dag_id in (PAUSED, QUEUED, MINTED, FAILED, FALLBACK)}

    assert told == {
        dag_id: sum(call.compute_units for call in stage.emulator.calls if call.matches(None, address_of(dag_id)))
        for dag_id in told
    }


def test_the_key_is_in_no_file_of_airflow(stage: Stage) -> None:
    for dag_id in DAG_IDS:
        stage.ended(dag_id)

    assert places_of(stage.emulator.api_key, folder=stage.airflow.home) == []
