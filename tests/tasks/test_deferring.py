# SPDX-License-Identifier: Apache-2.0
"""When Airflow itself is to end a deferred task, and how it tells that it did."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout
from airflow_provider_alchemy.tasks.deferring import back_stop, gone_triggerer, is_time_out

from airflow_provider_alchemy.api.errors import AlchemyDeadlineError
from airflow_provider_alchemy.tasks.exceptions import final
from airflow_provider_alchemy.triggers.reingest import BACK_STOP


def in_seconds(seconds: float) -> str:
    return pendulum.now("UTC").add(seconds=seconds).isoformat()


class TestTheBackStop:
    @pytest.mark.usefixtures("clock")
    def test_it_comes_some_time_after_the_first_deadline(self) -> None:
        stop = back_stop(in_seconds(3600), in_seconds(60))

        assert stop is not None
        assert stop - BACK_STOP == timedelta(seconds=60)

    def test_there_is_none_without_a_deadline(self) -> None:
        assert back_stop(None, None) is None

    def test_it_is_of_the_type_that_airflow_takes(self) -> None:
        assert type(back_stop(in_seconds(60))) is timedelta


@pytest.mark.parametrize(
    ("next_kwargs", "expected"),
    [
        ({"error": "Trigger timeout"}, True),
        ({"error": "Trigger failure", "traceback": []}, False),
        ({"error": None}, False),
        ({}, False),
        (None, False),
    ],
    ids=str,
)
def test_a_time_out_is_told_from_a_trigger_that_failed(next_kwargs: dict[str, Any] | None, expected: bool) -> None:
    assert is_time_out(next_kwargs) is expected


def test_a_gone_triggerer_is_a_time_out_that_says_what_to_check() -> None:
    error = gone_triggerer("Batch of 3 contracts")

    assert isinstance(error, AlchemyDeadlineError)
    assert isinstance(final(error), AirflowSensorTimeout)
    assert "Batch of 3 contracts: no triggerer ended the wait within 600 s" in str(error)
    assert "Check that a triggerer is running" in str(error)
