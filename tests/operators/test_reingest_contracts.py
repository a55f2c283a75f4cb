# SPDX-License-Identifier: Apache-2.0
"""The operator for many contracts through its processes: results, failures, retries, what outlives a process."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
    TaskDeferred,
)

from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyContractsFailedError,
    AlchemyDeadlineError,
    AlchemySpendingLimitError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.api.packing import unpack_ids
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.waits.poller import CONNECTIONS
from tests.conftest import TaskLog
from tests.tasks.batches import (
    RESULT_KEYS,
    BatchInstance,
    BatchLife,
    address,
    contracts,
    counted_calls,
    in_triggerer,
    kill_at,
    refresh,
)
from tests.tasks.lives import ADDRESS, LOWER, fire

pytestmark = pytest.mark.integration

PRICE = 480


def life_of(count: int, **arguments: Any) -> BatchLife:
    return BatchLife(refresh(contracts(count), **arguments))


class TestTheResult:
    def test_it_is_that_of_the_documentation(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.1)

        result = life_of(20).lead()

        assert set(result) == RESULT_KEYS
        assert result["finished"] == contracts(20)
        assert (result["failed"], result["network"]) == ({}, "eth-mainnet")
        assert result["counts"] == {
            "contracts": 20,
            "finished": 20,
            "failed": 0,
            "already_finished": 0,
            "duplicates": 0,
        }

    def test_polls_and_units_are_those_that_the_service_counted(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.1)

        result = life_of(20).lead()

        assert (result["polls"], result["compute_units"]) == (emulator.count(), emulator.compute_units)

    def test_its_times_are_those_of_the_first_call_and_the_last_end(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.1)

        began = time.time()
        result = life_of(20).lead()

        submitted, finished = (
            datetime.fromisoformat(result[name]).timestamp() for name in ("submitted_at", "finished_at")
        )
        first_end = next(call.at for call in emulator.calls if call.state == "finished")
        assert began <= submitted <= first_end
        assert emulator.calls[-1].at <= finished <= time.time()

    def test_a_contract_that_is_named_twice_is_asked_for_once(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)

        result = BatchLife(refresh([ADDRESS, address(1), LOWER, "0x" + LOWER[2:].upper()])).lead()

        assert (emulator.count(), result["finished"]) == (2, [LOWER, address(1)])
        assert (result["counts"]["contracts"], result["counts"]["duplicates"]) == (2, 2)

    @pytest.mark.parametrize("form", [str, json.dumps, ",".join, "\n".join, tuple], ids=lambda form: form.__name__)
    def test_the_list_may_have_any_form(self, form: Any, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)

        assert BatchLife(refresh(form(contracts(3)))).lead()["finished"] == contracts(3)

    def test_a_generator_is_read_once_and_kept(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)

        assert BatchLife(refresh(address(number) for number in range(3))).lead()["finished"] == contracts(3)

    def test_its_network_is_the_tasks(self, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_on_every_network=True)
        emulator.set_default_job(running_seconds=0)

        result = life_of(3, network="base-mainnet").lead()

        assert (result["network"], result["finished"]) == ("base-mainnet", contracts(3))


class TestTheProcesses:
    def test_it_defers_once_and_sends_nothing_before(self, emulator: AlchemyEmulator) -> None:
        life_of(5).deferral()

        assert emulator.count() == 0

    @pytest.mark.usefixtures("clock")
    def test_the_back_stop_comes_after_the_deadline(self, emulator: AlchemyEmulator) -> None:
        deferral = life_of(5, timeout=3600, execution_timeout=timedelta(minutes=30)).deferral()

        assert deferral.timeout == timedelta(minutes=40)
        assert type(deferral.timeout) is timedelta
        assert emulator.count() == 0

    @pytest.mark.usefixtures("emulator")
    def test_what_the_task_gives_itself_is_json(self) -> None:
        kwargs = life_of(5).deferral().kwargs

        assert json.loads(json.dumps(kwargs)) == kwargs

    def test_a_template_that_renders_to_another_list_meanwhile_changes_nothing(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        life = life_of(5)
        deferral = life.deferral()
        event = fire(in_triggerer(deferral.trigger))
        life.task.contract_addresses = contracts(2)

        assert life.resume(deferral, event)["finished"] == contracts(5)

    def test_where_airflow_forgets_the_list_it_is_read_again(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        life = life_of(5)
        event = fire(in_triggerer(life.deferral().trigger))

        assert life.task.execute_complete(life.context, event)["finished"] == contracts(5)

    def test_another_list_than_the_batchs_is_no_result(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        life = life_of(5)
        event = fire(in_triggerer(life.deferral().trigger))
        life.task.contract_addresses = contracts(6)

        with pytest.raises(AlchemyUnexpectedAnswerError, match="not the one that the batch began with"):
            life.task.execute_complete(life.context, event)

    @pytest.mark.usefixtures("emulator")
    @pytest.mark.parametrize(
        "event",
        [None, {}, "ended", {"status": "ended"}, {"status": "finished", "record": {}}, {"status": ["ended"]}],
        ids=str,
    )
    def test_an_event_that_cannot_be_fails_loudly(self, event: Any) -> None:
        life = life_of(5)

        with pytest.raises(AlchemyUnexpectedAnswerError, match="workers and triggerers run the same version"):
            life.resume(life.deferral(), event)

    def test_a_stop_without_an_error_is_no_success(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        life = life_of(5)
        deferral = life.deferral()
        event = fire(in_triggerer(deferral.trigger))

        with pytest.raises(Exception, match="None"):
            life.resume(deferral, {**event, "status": "stopped"})


class TestMaxFailed:
    @pytest.fixture(autouse=True)
    def three_of_ten_are_no_collections(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.1)
        for number in (1, 4, 7):
            emulator.set_job(address(number), outcome="does_not_exist")

    @pytest.mark.parametrize("max_failed", [3, 10, 0.3, 1.0])
    def test_as_many_as_allowed_do_not_fail_the_task(self, max_failed: float) -> None:
        result = life_of(10, max_failed=max_failed).lead()

        assert result["failed"] == {"does_not_exist": [address(number) for number in (1, 4, 7)]}
        assert result["counts"]["failed"] == 3

    @pytest.mark.parametrize("max_failed", [0, 2, 0.0, 0.29])
    def test_more_fail_it_after_all_others_have_ended(self, max_failed: float) -> None:
        life = life_of(10, max_failed=max_failed)

        error = life.failure()

        assert isinstance(error, AlchemyContractsFailedError)
        assert life.ti.xcoms["return_value"]["counts"]["finished"] == 7

    def test_what_no_retry_can_mend_uses_up_no_retry(self) -> None:
        error = life_of(10, max_failed=2).failure()

        assert isinstance(error, AlchemyContractsFailedError)
        assert error.is_permanent
        assert isinstance(error, AirflowFailException)

    @pytest.mark.usefixtures("quick_backoff")
    def test_what_a_retry_may_mend_is_retried(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(address(2), outcome="queue_failed")

        error = life_of(10, max_failed=3).failure()

        assert type(error) is AlchemyContractsFailedError

    def test_the_error_counts_by_reason_and_names_contracts(self) -> None:
        text = str(life_of(10).failure())

        assert "Batch of 10 contracts on eth-mainnet (connection 'alchemy_default')" in text
        assert "3 of 10 contracts failed (does_not_exist 3), and max_failed allows 0" in text
        assert address(4) in text


class TestWhereTheTaskFails:
    def test_the_result_is_pushed_all_the_same(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        emulator.set_job(address(1), outcome="does_not_exist")
        life = life_of(3, multiple_outputs=True)

        life.failure()

        assert set(life.ti.xcoms) == RESULT_KEYS | {"return_value"}
        assert life.ti.xcoms["return_value"]["failed"] == {"does_not_exist": [address(1)]}

    @pytest.mark.parametrize(
        ("arguments", "pushed"),
        [({}, {"return_value"}), ({"do_xcom_push": False}, set())],
        ids=str,
    )
    def test_as_much_is_pushed_as_the_task_would(
        self, arguments: dict[str, Any], pushed: set[str], emulator: AlchemyEmulator
    ) -> None:
        emulator.set_default_job(outcome="does_not_exist")
        life = life_of(3, **arguments)

        life.failure()

        assert set(life.ti.xcoms) == pushed

    def test_an_xcom_that_cannot_be_pushed_does_not_hide_why(
        self, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch, task_log: TaskLog
    ) -> None:
        emulator.set_default_job(outcome="does_not_exist")
        life = life_of(3)

        def refuse(**_: Any) -> None:
            msg = "too large"
            raise ValueError(msg)

        monkeypatch.setattr(life.ti, "xcom_push", refuse)

        assert isinstance(life.failure(), AlchemyContractsFailedError)
        assert "Could not push the result: too large" in task_log()


class TestTimeouts:
    def test_nothing_but_time_outs_is_airflows_time_out(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)
        life = life_of(5, timeout=0.3)

        error = life.failure()

        assert isinstance(error, AlchemyDeadlineError)
        assert isinstance(error, AirflowSensorTimeout)
        assert life.ti.xcoms["return_value"]["failed"] == {"timeout": contracts(5)}

    def test_time_outs_that_are_allowed_do_not_fail_the_task(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        emulator.set_job(address(0), queued_seconds=600)

        assert life_of(5, timeout=0.3, max_failed=1).lead()["failed"] == {"timeout": [address(0)]}

    def test_execution_timeout_is_honoured_while_deferred(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)

        error = life_of(5, execution_timeout=timedelta(seconds=0.3)).failure()

        assert isinstance(error, AirflowTaskTimeout)

    def test_a_gone_triggerer_is_a_time_out_with_what_is_known(self, emulator: AlchemyEmulator) -> None:
        life = life_of(15)
        emulator.set_default_job(queued_seconds=600)
        for number in range(10):
            emulator.set_job(address(number), running_seconds=0)
        deferral = life.deferral()
        with pytest.raises(TaskDeferred):
            life.resume(deferral, fire(in_triggerer(deferral.trigger)))

        with pytest.raises(AirflowSensorTimeout, match="Check that a triggerer is running"):
            life.task.resume_execution("__fail__", {"error": "Trigger timeout"}, life.context)

        assert life.ti.xcoms["return_value"]["finished"] == contracts(10)
        assert life.ti.xcoms["return_value"]["failed"] == {"timeout": contracts(15)[10:]}


class TestWhatConcernsTheAccount:
    def test_a_refused_key_stops_the_batch_with_few_calls(self, emulator: AlchemyEmulator) -> None:
        emulator.rotate_key()
        life = life_of(1000)

        error = life.failure()

        assert isinstance(error, AlchemyAuthenticationError)
        assert isinstance(error, AirflowFailException)
        # Those that go out while the connection is read again, because the key may have been rotated.
        assert emulator.count() <= 1 + CONNECTIONS
        assert life.ti.xcoms["return_value"]["counts"]["failed"] == 1000
        assert list(life.ti.xcoms["return_value"]["failed"]) == ["authentication"]

    def test_the_spending_limit_is_that_of_the_whole_batch(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)
        life = life_of(10, max_compute_units=30 * PRICE)

        error = life.failure()

        assert isinstance(error, AlchemySpendingLimitError)
        assert emulator.compute_units == 30 * PRICE
        assert life.ti.xcoms["return_value"]["failed"] == {"spending_limit": contracts(10)}

    def test_it_counts_all_tries(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)
        life = life_of(10, max_compute_units=40 * PRICE, timeout=0.1)
        life.failure()
        life.next_try()
        life.task.timeout = 3600.0

        assert isinstance(life.failure(), AlchemySpendingLimitError)
        assert emulator.compute_units == 40 * PRICE


def kill(deferral: TaskDeferred, emulator: AlchemyEmulator, finished: int) -> None:
    """Kill the triggerer in the middle."""
    asyncio.run(kill_at(in_triggerer(deferral.trigger), emulator, finished))


class TestARetry:
    @pytest.mark.usefixtures("quick_backoff")
    def test_it_asks_only_for_what_a_second_answer_is_worth(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        emulator.set_job(address(1), outcome="does_not_exist")
        emulator.set_job(address(2), outcome="queue_failed")
        life = life_of(10, max_failed=1)
        life.failure()
        emulator.set_job(address(2), running_seconds=0)
        life.next_try()

        with counted_calls(emulator) as asked:
            result = life.lead()

        assert set(asked) == {address(2)}
        assert result["counts"] == {
            "contracts": 10,
            "finished": 9,
            "failed": 1,
            "already_finished": 9,
            "duplicates": 0,
        }

    def test_it_counts_on(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)
        life = life_of(10, timeout=0.2)
        life.failure()
        emulator.set_default_job(running_seconds=0)
        life.next_try()

        result = life.lead()

        assert (result["polls"], result["compute_units"]) == (emulator.count(), emulator.compute_units)

    def test_it_has_a_timeout_of_its_own(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)
        life = life_of(10, timeout=0.2)
        life.failure()
        emulator.set_default_job(running_seconds=0)
        life.next_try()

        assert len(life.lead()["finished"]) == 10

    def test_a_refresh_that_an_earlier_try_submitted_was_not_finished_before(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)
        life = life_of(10, timeout=0.2)
        life.failure()
        emulator.set_default_job(running_seconds=0)
        life.next_try()

        assert life.lead()["counts"]["already_finished"] == 0

    def test_after_a_triggerer_that_died_for_good_it_asks_for_all_but_what_a_worker_saved(
        self, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_default_job(running_seconds=0.1)
        life = life_of(100)
        deferral = life.deferral()
        with pytest.raises(TaskDeferred) as again:
            life.resume(deferral, fire(in_triggerer(deferral.trigger)))
        saved = {address(number) for number in unpack_ids(again.value.trigger.state["finished"])}
        kill(again.value, emulator, 15)
        with pytest.raises(Exception, match="boom"):
            life.task.resume_execution("__fail__", {"error": "boom"}, life.context)
        life.next_try()

        with counted_calls(emulator) as asked:
            assert len(life.lead()["finished"]) == 100

        assert saved
        assert len(set(asked)) < 100
        assert saved.isdisjoint(set(asked))

    def test_another_list_begins_anew(self, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
        emulator.set_default_job(running_seconds=0)
        emulator.set_job(address(1), outcome="does_not_exist")
        life = life_of(5)
        life.failure()
        life.task.contract_addresses = contracts(4)
        life.next_try()

        with counted_calls(emulator) as asked:
            life.failure()

        assert len(asked) == 4
        assert "The contracts are not those of the earlier try" in task_log()

    def test_it_says_what_it_knows(self, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
        emulator.set_default_job(running_seconds=0)
        emulator.set_job(address(1), queued_seconds=600)
        life = life_of(10, timeout=0.2)
        life.failure()
        life.next_try()

        life.failure()

        assert "asking for 1; 9 ended in an earlier try (9 finished)" in task_log()


class TestAClearedTask:
    def test_it_asks_for_all_again(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        life = life_of(10)
        life.lead()
        life.clear()

        with counted_calls(emulator) as asked:
            result = life.lead()

        assert (len(asked), result["polls"]) == (10, 10)


class TestWhatIsKept:
    def test_the_key_is_nowhere(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        life = life_of(10)
        life.lead()

        assert emulator.api_key not in json.dumps([life.store.texts, life.events])

    def test_a_store_out_of_reach_fails_no_batch(
        self, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch, task_log: TaskLog
    ) -> None:
        emulator.set_default_job(running_seconds=0)
        life = life_of(10)
        life.next_try()

        def refuse(*_: Any) -> None:
            msg = "the API server is away"
            raise ConnectionError(msg)

        monkeypatch.setattr(life.store, "get", refuse)
        monkeypatch.setattr(life.store, "set", refuse)

        assert len(life.lead()["finished"]) == 10
        assert "Could not save the state of the task" in task_log()

    @pytest.mark.parametrize("text", ['"nonsense"', "[]", "{}", '{"first_try": 1, "try_number": 1, "state": {}}'])
    def test_what_is_no_record_is_left_alone(self, text: str, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        life = life_of(10)
        life.store.texts["alchemy_batch"] = text
        life.next_try()

        assert len(life.lead()["finished"]) == 10


@pytest.mark.usefixtures("before_3_3")
class TestBeforeAirflow33:
    """Airflow has no store: nothing but what goes with the deferral is known."""

    def lead(self, task: Any, ti: BatchInstance) -> Any:
        step: Callable[[], Any] = partial(task.execute, {"ti": ti})
        while True:
            try:
                return step()
            except TaskDeferred as deferral:
                kwargs = {**(deferral.kwargs or {}), "event": fire(in_triggerer(deferral.trigger))}
                step = partial(task.resume_execution, deferral.method_name, kwargs, {"ti": ti})

    def test_the_batch_ends_alike(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.1)

        assert len(self.lead(refresh(contracts(10)), BatchInstance())["finished"]) == 10

    def test_it_says_what_a_retry_means(self, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
        emulator.set_default_job(running_seconds=0)

        self.lead(refresh(contracts(10)), BatchInstance())

        assert "Airflow keeps nothing of a task before 3.3: a retry asks for all contracts again" in task_log()

    def test_a_retry_asks_for_all_again(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        for try_number in (1, 2):
            self.lead(refresh(contracts(5)), BatchInstance(try_number=try_number))

        assert emulator.count() == 10


def test_its_log_tells_the_beginning_and_the_end(emulator: AlchemyEmulator, task_log: TaskLog) -> None:
    emulator.set_default_job(running_seconds=0)

    BatchLife(refresh([*contracts(10), *contracts(3)])).lead()

    text = task_log()
    assert "connection 'alchemy_default'): asking for 10; 3 named more than once, asked for once" in text
    assert (
        "connection 'alchemy_default'): 10 of 10 ended (10 finished, 0 failed), 10 polls, 4,800 compute units" in text
    )


def test_killed_it_says_that_the_refreshes_go_on(task_log: TaskLog) -> None:
    refresh(contracts(1)).on_kill()

    assert "go on at Alchemy, which cannot cancel them" in task_log()
