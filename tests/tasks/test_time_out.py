# SPDX-License-Identifier: Apache-2.0
"""Airflow's time-out where Python has lost its exception: real signals, in the main thread."""

from __future__ import annotations

import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout
from airflow_provider_alchemy.tasks.time_out import repeat_time_out

from airflow_provider_alchemy.api.client import AlchemyClient
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.sensors.new_tokens import NewTokensSensor
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.tasks import time_out
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.dag_runs import new_dag, run
from tests.tasks.lives import ADDRESS

TASKS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "a refresh": (ReingestContractOperator, {"wait_for_completion": True}),
    "a refresh of tokens": (RefreshCollectionOperator, {}),
    "a wait for a refresh": (ReingestSensor, {}),
    "a wait for tokens": (MetadataFreshSensor, {"fresh_since": "{{ dag_run.start_date }}"}),
    "a wait for new tokens": (NewTokensSensor, {"since_block": 1}),
}


class Something:
    """What a weak reference refers to."""


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Give the types of the exceptions that Python loses."""
    types: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: types.append(args.exc_type))
    return types


def lose_the_time_out() -> None:
    """Let the timer ring at once, while Python is in a callback of a weak reference."""

    def wait(_: Any) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.01, signal.getitimer(signal.ITIMER_REAL)[1])
        time.sleep(600)

    something = Something()
    reference = weakref.ref(something, wait)
    del something
    assert reference() is None


@contextmanager
def timer(seconds: float) -> Iterator[None]:
    """Set a timer as Airflow does for a task, and stop it as Airflow does."""

    def ring(*_: Any) -> None:
        raise AirflowTaskTimeout

    earlier = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)


@pytest.mark.integration
@pytest.mark.usefixtures("airflow_database")
@pytest.mark.parametrize("name", TASKS)
def test_a_time_out_that_was_lost_ends_the_task_a_little_later(
    name: str, emulator: AlchemyEmulator, lost: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_out, "AGAIN_SECONDS", 1.0)
    emulator.set_collection(ADDRESS, tokens=10)
    emulator.add_fault("hang")
    connect = AlchemyHook.get_conn

    def late(hook: AlchemyHook) -> AlchemyClient:
        if not lost:
            lose_the_time_out()
        return connect(hook)

    monkeypatch.setattr(AlchemyHook, "get_conn", late)
    task_type, arguments = TASKS[name]
    with new_dag() as dag:
        task_type(task_id="long", contract_address=ADDRESS, execution_timeout=timedelta(minutes=2), **arguments)

    try:
        state = run(dag)["long"].state
    except AirflowTaskTimeout:
        state = "failed"  # before Airflow 3.1 dag.test() lets it through

    # Python may have lost another one by itself.
    assert (state, set(lost)) == ("failed", {AirflowTaskTimeout})


def test_a_time_out_that_was_lost_comes_again_however_often(lost: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_out, "AGAIN_SECONDS", 600.0)

    with timer(1000):
        repeat_time_out(timedelta(seconds=1000))
        lose_the_time_out()
        lose_the_time_out()
        left_seconds, again_seconds = signal.getitimer(signal.ITIMER_REAL)

    assert (left_seconds > 0, again_seconds) == (True, 600)

    assert lost[:2] == [AirflowTaskTimeout] * 2


def test_the_first_one_comes_when_airflow_wants_it() -> None:
    with timer(1000):
        repeat_time_out(timedelta(seconds=1000))

        left_seconds, _ = signal.getitimer(signal.ITIMER_REAL)

    assert 0 < left_seconds <= 1000


def test_a_timer_of_somebody_else_is_left_alone() -> None:
    with timer(1000):
        repeat_time_out(None)

        assert signal.getitimer(signal.ITIMER_REAL)[1] == 0


def test_beside_the_main_thread_there_is_no_time_out_of_airflow() -> None:
    with timer(1000):
        thread = threading.Thread(target=repeat_time_out, args=[timedelta(seconds=1000)])
        thread.start()
        thread.join()

        assert signal.getitimer(signal.ITIMER_REAL)[1] == 0


def test_where_no_timer_runs_none_is_set() -> None:
    with timer(0):
        repeat_time_out(timedelta(seconds=1000))

        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
