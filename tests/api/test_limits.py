# SPDX-License-Identifier: Apache-2.0
"""What a wait may not exceed: compute units and time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import time_machine
from airflow_provider_alchemy.api.limits import WaitLimits
from airflow_provider_alchemy.api.records import WaitRecord

from airflow_provider_alchemy.api.errors import AlchemySpendingLimitError, ErrorKind

from .shells import LOWER
from .waits import NOW, SUBJECT, in_seconds, look, wait_with


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


class TestWhatMayBeSpent:
    def test_a_wait_ends_with_the_answer_after_which_no_poll_may_be_paid(self) -> None:
        wait = wait_with(max_compute_units=1000)
        look(wait, "queued")
        with pytest.raises(AlchemySpendingLimitError):
            look(wait, "in_progress")
        assert wait.record.compute_units == 960

    def test_the_last_poll_that_may_be_paid_can_end_it_well(self) -> None:
        wait = wait_with(max_compute_units=960)
        look(wait, "queued")
        assert look(wait, "finished").delay_seconds is None

    def test_what_an_earlier_try_spent_counts(self) -> None:
        wait = wait_with(max_compute_units=1000, compute_units=960)
        with pytest.raises(AlchemySpendingLimitError), wait.look():
            pytest.fail("it looked all the same")

    def test_no_limit_is_no_limit(self) -> None:
        wait = wait_with(compute_units=10**9)
        assert look(wait, "queued").delay_seconds is not None

    def test_no_retry_can_mend_it(self) -> None:
        assert AlchemySpendingLimitError.kind is ErrorKind.PERMANENT

    def test_the_error_names_what_was_spent_the_price_and_the_limit(self) -> None:
        wait = wait_with(max_compute_units=700)
        with pytest.raises(AlchemySpendingLimitError) as told:
            look(wait, "queued")
        text = str(told.value)
        assert SUBJECT in text
        assert "spent 480 compute units: one more poll costs 480, and max_compute_units is 700" in text
        assert "raise max_compute_units" in text


class TestDelays:
    @pytest.mark.parametrize(("delay", "cut"), [(10.0, 10.0), (60.0, 60.0), (90.0, 60.0), (math.inf, 60.0)])
    def test_none_outlasts_the_deadline(self, delay: float, cut: float) -> None:
        assert limits_of(deadline=in_seconds(60)).cut(delay) == cut

    def test_none_is_negative(self) -> None:
        assert limits_of(deadline=in_seconds(-60)).cut(10) == 0


def limits_of(**record: str) -> WaitLimits:
    return WaitLimits(WaitRecord(contract_address=LOWER, **record), SUBJECT)  # type: ignore[arg-type]
