# SPDX-License-Identifier: Apache-2.0
"""Many contracts in one task on real Airflow processes: what a batch costs, survives, and leaves behind."""

from __future__ import annotations

import math

import pytest

from airflow_provider_alchemy.waits.batch import MIN_SAVED, SAVED_SHARE
from tests.e2e.contracts.conftest import Stage
from tests.e2e.contracts.dags.many_contracts import COUNTS, FAILED, KILLED, MOVED, RETRIED, THOUSAND, contracts_of

pytestmark = pytest.mark.e2e


class TestAKilledTriggerer:
    def test_it_loses_no_contract(self, stage: Stage) -> None:
        assert stage.result(MOVED)["finished"] == contracts_of(MOVED)

    def test_the_new_one_asks_again_for_a_tenth_of_the_contracts_or_ten_at_most(self, stage: Stage) -> None:
        before, after = ended_before_and_asked_after(stage)

        assert len(before) == COUNTS[MOVED] // 2
        assert len(before & after) <= max(math.ceil(COUNTS[MOVED] * SAVED_SHARE), MIN_SAVED)

    def test_the_refreshes_that_ran_meanwhile_were_not_finished_before(self, stage: Stage) -> None:
        assert stage.result(MOVED)["counts"]["already_finished"] == 0

    def test_polls_and_units_are_those_of_both(self, stage: Stage) -> None:
        result, calls = stage.result(MOVED), stage.calls(MOVED)

        # Those of the killed one after the last saved progress are lost with it.
        assert sum(call.at > stage.restarted_at for call in calls) < result["polls"] <= len(calls)
        assert result["compute_units"] == 480 * result["polls"]


class TestAThousandContracts:
    def test_all_finish(self, stage: Stage) -> None:
        assert stage.result(THOUSAND)["counts"]["finished"] == 1000

    def test_they_are_one_task_with_a_worker_start_for_each_tenth_at_most(self, stage: Stage) -> None:
        run = stage.ended(THOUSAND)

        assert len(run.task_instances()) == 1
        assert 2 <= run.worker_starts() <= 2 + 1 / SAVED_SHARE

    def test_what_the_task_says_it_spent_is_what_was_billed(self, stage: Stage) -> None:
        result = stage.result(THOUSAND)

        assert result["polls"] == len(stage.calls(THOUSAND))
        assert result["compute_units"] == sum(call.compute_units for call in stage.calls(THOUSAND))

    def test_their_log_is_short(self, stage: Stage) -> None:
        lines = [line for line in stage.log(THOUSAND).splitlines() if "Batch of 1,000 contracts" in line]

        # One for each tenth, fewer where more than a tenth has ended when the triggerer comes to it.
        assert 3 <= len(lines) <= 15


class TestABatchThatFails:
    def test_it_uses_up_no_retry_where_none_can_help(self, stage: Stage) -> None:
        failed = stage.task(FAILED)

        assert (failed.state, failed.try_number) == ("failed", 1)

    def test_its_result_is_there_for_the_next_task(self, stage: Stage) -> None:
        assert stage.result(FAILED, "report") == {"does_not_exist": 3}

    def test_its_log_says_why(self, stage: Stage) -> None:
        assert "3 of 10 contracts failed (does_not_exist 3), and max_failed allows 0" in stage.log(FAILED)


class TestARetry:
    def test_it_asks_only_for_the_rest(self, stage: Stage) -> None:
        assert stage.task(RETRIED).try_number == 2

        # Who asks again after the end of a refresh hears of it again.
        assert len(stage.ends(RETRIED)) == COUNTS[RETRIED]

    def test_its_result_is_that_of_all(self, stage: Stage) -> None:
        result = stage.result(RETRIED)

        assert (result["counts"]["finished"], result["polls"]) == (COUNTS[RETRIED], len(stage.calls(RETRIED)))

    def test_it_says_what_it_knows(self, stage: Stage) -> None:
        assert "asking for 5; 35 ended in an earlier try (35 finished)" in stage.log(RETRIED, try_number=2)


class TestATaskThatAUserEnds:
    def test_its_polls_end(self, stage: Stage) -> None:
        assert stage.task(KILLED).state == "failed"

    def test_it_says_that_the_refreshes_go_on(self, stage: Stage) -> None:
        assert "go on at Alchemy, which cannot cancel them" in stage.log(KILLED)


def test_no_batch_leaves_a_variable(stage: Stage) -> None:
    for dag_id in COUNTS:
        stage.ended(dag_id)

    assert stage.variables() == []


def ended_before_and_asked_after(stage: Stage) -> tuple[set[str | None], set[str | None]]:
    """Give the contracts whose end was reported before the kill, and those that are asked for after it."""
    stage.ended(MOVED)
    before = {call.contract_address for call in stage.ends(MOVED) if call.at < stage.restarted_at}
    return before, {call.contract_address for call in stage.calls(MOVED) if call.at > stage.restarted_at}
