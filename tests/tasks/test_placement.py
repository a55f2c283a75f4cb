# SPDX-License-Identifier: Apache-2.0
"""Where a task starts and ends: what falls back to a worker, what a configuration means, what the scheduler gets."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_alchemy.defaults import BACK_STOP
from airflow_provider_alchemy.tasks.placement import is_configured, warn_of_mapping
from tests.conftest import TaskLog
from tests.tasks.dag_runs import new_dag
from tests.tasks.lives import ADDRESS, TaskInstance, context_of
from tests.tasks.placing import BOTH, KINDS, a_callback, a_hook, build, newest, older, placement

pytestmark = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AIRFLOW__ALCHEMY__START_FROM_TRIGGER", "True")
    monkeypatch.setenv("AIRFLOW__ALCHEMY__END_FROM_TRIGGER", "True")
    is_configured.cache_clear()
    yield
    is_configured.cache_clear()


@pytest.fixture(autouse=True)
def no_warning() -> Iterator[None]:
    """A fallback that nobody expects fails the test."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=UserWarning, message="Task ")
        yield


class TestFallbacks:
    @older
    def test_an_older_airflow_ends_tasks_in_a_worker(self, kind: Any) -> None:
        with pytest.warns(UserWarning, match="needs Airflow 3.3") as said:
            task = build(kind, end_from_trigger=True)

        assert (len(said), placement(task)) == (1, (True, False, False))

    @older
    def test_a_task_that_ends_in_a_worker_after_all_may_have_a_hook(self, kind: Any) -> None:
        with pytest.warns(UserWarning, match="needs Airflow 3.3"):
            assert build(kind, **BOTH, pre_execute=a_hook).start_from_trigger

    def test_a_mapped_task_says_when_it_runs_that_it_starts_in_a_worker(self, kind: Any, task_log: TaskLog) -> None:
        with new_dag():
            mapped = kind.partial(task_id="task", start_from_trigger=True).expand(contract_address=[ADDRESS])

        instance = mapped.unmap({"contract_address": ADDRESS})

        assert "Airflow starts no mapped task" not in task_log()
        warn_of_mapping(instance, context_of(TaskInstance(map_index=0)))
        assert "Airflow starts no mapped task in the triggerer" in task_log()


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
