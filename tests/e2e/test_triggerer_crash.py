# SPDX-License-Identifier: Apache-2.0
"""A triggerer that is killed in the middle of a wait loses nothing."""

from __future__ import annotations

import signal
import time

import pytest

from airflow_provider_alchemy.testing.calls import Call
from tests.e2e.conftest import Stage
from tests.e2e.dags.alchemy_scenarios import address_of

pytestmark = pytest.mark.e2e

DAG_ID = "killed_triggerer"


@pytest.fixture(scope="module")
def crash(stage: Stage) -> float:
    """The moment of the triggerer's SIGKILL, once it had polled for the wait; it was started again after it."""
    wait_for_calls(stage, 3)
    stage.airflow.kill("triggerer", signal.SIGKILL)
    killed_at = time.time()
    stage.airflow.start("triggerer")
    return killed_at


def wait_for_calls(stage: Stage, calls: int) -> None:
    deadline = time.monotonic() + 120
    while stage.emulator.count(contract_address=address_of(DAG_ID)) < calls:
        assert time.monotonic() < deadline, "the triggerer never polled"
        time.sleep(0.1)


@pytest.mark.usefixtures("crash")
def test_a_wait_survives_sigkill_of_the_triggerer(stage: Stage) -> None:
    assert stage.result(DAG_ID, "wait")["state"] == "finished"


def test_the_new_triggerer_goes_on_polling(stage: Stage, crash: float) -> None:
    stage.ended(DAG_ID)

    assert any(call.at > crash for call in calls(stage))


@pytest.mark.usefixtures("crash")
def test_no_call_follows_the_terminal_answer_of_a_wait_that_was_moved(stage: Stage) -> None:
    stage.ended(DAG_ID)

    assert [call.state for call in calls(stage)].count("finished") == 1


def calls(stage: Stage) -> list[Call]:
    return [call for call in stage.emulator.calls if call.contract_address == address_of(DAG_ID)]
