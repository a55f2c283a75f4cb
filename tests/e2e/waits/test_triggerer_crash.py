# SPDX-License-Identifier: Apache-2.0
"""A triggerer that is killed in the middle of a wait loses nothing."""

from __future__ import annotations

import pytest

from airflow_provider_alchemy.testing.calls import Call
from tests.e2e.waits.conftest import KILLED, Stage
from tests.e2e.waits.dags.alchemy_scenarios import address_of

pytestmark = pytest.mark.e2e


def calls(stage: Stage) -> list[Call]:
    return [call for call in stage.emulator.calls if call.contract_address == address_of(KILLED)]


@pytest.mark.usefixtures("crash")
def test_a_wait_survives_sigkill_of_the_triggerer(stage: Stage) -> None:
    assert stage.result(KILLED, "wait")["state"] == "finished"


def test_the_new_triggerer_goes_on_polling(stage: Stage, crash: float) -> None:
    stage.ended(KILLED)

    assert any(call.at > crash for call in calls(stage))


@pytest.mark.usefixtures("crash")
def test_no_call_follows_the_terminal_answer_of_a_wait_that_was_moved(stage: Stage) -> None:
    stage.ended(KILLED)

    assert [call.state for call in calls(stage)].count("finished") == 1
