# SPDX-License-Identifier: Apache-2.0
"""Where a task starts and ends: what falls back to a worker, what a configuration means, what the scheduler gets."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import task_group
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_alchemy.triggers.reingest import BACK_STOP
from tests.tasks.dag_runs import new_dag
from tests.tasks.lives import ADDRESS, OTHER_ADDRESS
from tests.tasks.placing import BOTH, KINDS, a_callback, a_hook, build, newest, older, placement

pytestmark = pytest.mark.parametrize("kind", KINDS)


def a_mapped_group(kind: Any) -> None:
    with new_dag():

        @task_group
        def refresh(address: str) -> None:
            kind(task_id="task", contract_address=address, start_from_trigger=True)

        refresh.expand(address=[ADDRESS, OTHER_ADDRESS])


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__ALCHEMY__START_FROM_TRIGGER", "True")
    monkeypatch.setenv("AIRFLOW__ALCHEMY__END_FROM_TRIGGER", "True")


@pytest.fixture(autouse=True)
def no_warning() -> Iterator[None]:
    """A fallback that nobody expects fails the test."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=UserWarning, message="Task ")
        yield


class TestFallbacks:
    @older
    def test_an_older_airflow_starts_a_task_with_a_template_in_a_worker(self, kind: Any) -> None:
        with pytest.warns(
            UserWarning, match=r"is a template, which the triggerer renders from Airflow 3\.3 on"
        ) as said:
            task = build(kind, contract_address="{{ params.x }}", network="{{ params.y }}", start_from_trigger=True)

        assert (len(said), placement(task)) == (1, (True, False, False))

    @older
    def test_an_older_airflow_ends_tasks_in_a_worker(self, kind: Any) -> None:
        with pytest.warns(UserWarning, match="can push no XCom before Airflow") as said:
            task = build(kind, end_from_trigger=True)

        assert (len(said), placement(task)) == (1, (True, False, False))

    @older
    def test_a_task_that_ends_in_a_worker_after_all_may_have_a_hook(self, kind: Any) -> None:
        with pytest.warns(UserWarning, match="end_from_trigger is not used"):
            assert build(kind, **BOTH, pre_execute=a_hook).start_from_trigger

    def test_the_warning_is_about_the_dags_line(self, kind: Any) -> None:
        with pytest.warns(UserWarning, match="Task 'refresh.task': Airflow starts no mapped task") as said:
            a_mapped_group(kind)

        assert [one.filename for one in said] == [__file__]

    def test_a_mapped_task_says_so_when_it_runs_and_not_before(self, kind: Any) -> None:
        with new_dag():
            mapped = kind.partial(task_id="task", start_from_trigger=True).expand(contract_address=[ADDRESS])

        instance = mapped.unmap({"contract_address": ADDRESS})

        assert len(instance.fallbacks) == 1

    def test_a_mapped_task_starts_in_a_worker(self, kind: Any) -> None:
        with new_dag():
            mapped = kind.partial(task_id="task", start_from_trigger=True).expand(contract_address=[ADDRESS])

        assert placement(mapped.unmap({"contract_address": ADDRESS})) == (True, False, False)


@pytest.mark.usefixtures("configured")
class TestConfiguration:
    def test_it_is_for_deferrable_tasks(self, kind: Any) -> None:
        assert placement(build(kind, deferrable=True)) == (True, True, AIRFLOW_V_3_3_PLUS)

    def test_it_is_not_for_others(self, kind: Any) -> None:
        assert placement(build(kind, deferrable=False)) == (False, False, False)

    def test_the_task_itself_may_say_otherwise(self, kind: Any) -> None:
        task = build(kind, deferrable=True, start_from_trigger=False, end_from_trigger=False)

        assert placement(task) == (True, False, False)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"contract_address": "{{ ti.xcom_pull('other') }}"},
            {"post_execute": a_hook},
            {"on_success_callback": a_callback},
            {"pre_execute": a_hook},
        ],
        ids=lambda arguments: next(iter(arguments)),
    )
    def test_it_refuses_nothing(self, kind: Any, arguments: dict[str, Any]) -> None:
        task = build(kind, deferrable=True, **arguments)

        assert not (task.start_from_trigger and task.end_from_trigger)

    def test_a_task_that_was_asked_for_wins_over_it(self, kind: Any) -> None:
        task = build(kind, start_from_trigger=True, pre_execute=a_hook)

        assert placement(task) == (True, True, False)

    def test_a_mapped_task_does_not_speak_of_it(self, kind: Any) -> None:
        with new_dag():
            mapped = kind.partial(task_id="task", deferrable=True).expand(contract_address=[ADDRESS])

        assert mapped.unmap({"contract_address": ADDRESS}).fallbacks == []


class TestWhatTheSchedulerGets:
    def test_the_class_has_none(self, kind: Any) -> None:
        assert kind.start_trigger_args is None

    def test_a_task_that_starts_in_a_worker_has_none(self, kind: Any) -> None:
        assert build(kind, deferrable=True).start_trigger_args is None

    def test_its_timeout_is_a_back_stop_after_the_tasks(self, kind: Any) -> None:
        task = build(kind, timeout=60, start_from_trigger=True)

        assert task.start_trigger_args.timeout == timedelta(seconds=60) + BACK_STOP

    def test_it_is_what_a_cluster_policy_made_of_the_task(self, kind: Any) -> None:
        task = build(kind, timeout=60, start_from_trigger=True)

        task.timeout, task.execution_timeout = 30.0, timedelta(seconds=20)

        kwargs = task.start_trigger_args.trigger_kwargs
        assert (kwargs["timeout"], kwargs["execution_timeout"]) == (30.0, 20.0)

    @newest
    def test_a_cluster_policy_may_give_it_what_only_a_worker_does(self, kind: Any) -> None:
        task = build(kind, **BOTH)

        task.on_success_callback = a_callback

        assert task.start_trigger_args.trigger_kwargs["ends_here"] is False
