# SPDX-License-Identifier: Apache-2.0
"""Whether a failed call is tried again, and when."""

from __future__ import annotations

import pendulum
import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.responses import MAX_RETRY_AFTER_SECONDS, read_retry_after
from airflow_provider_alchemy.api.throttle import Retrying, backoff_seconds

NOW = pendulum.datetime(2026, 11, 22, 10)


@pytest.mark.parametrize(
    ("failures", "least"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 64), (8, 64), (10_000, 64)]
)
def test_back_off_doubles_up_to_64_seconds_with_up_to_a_second_of_jitter(failures: int, least: float) -> None:
    assert least <= backoff_seconds(failures) <= least + 1


def test_back_off_has_jitter() -> None:
    assert len({backoff_seconds(1) for _ in range(20)}) > 1


@given(failures=st.integers(1, 100), asked=st.floats(0, 300))
def test_what_the_service_asked_for_is_never_undercut(failures: int, asked: float) -> None:
    assert backoff_seconds(failures, asked) >= asked


def test_a_service_that_asks_for_a_day_is_waited_for_five_minutes() -> None:
    asked = read_retry_after("86400")
    assert MAX_RETRY_AFTER_SECONDS == 300
    assert 300 <= backoff_seconds(1, asked) <= 301


@pytest.mark.parametrize(
    "error_type",
    [
        errors.AlchemyRateLimitError,
        errors.AlchemyServerError,
        errors.AlchemyConnectionError,
        errors.AlchemyTimeoutError,
        errors.AlchemyBadAnswerError,
    ],
)
def test_the_services_trouble_is_tried_again(error_type: type[errors.AlchemyError]) -> None:
    assert 1 <= Retrying()(error_type("it broke")) <= 2


@pytest.mark.parametrize(
    "error",
    [
        errors.AlchemyAuthenticationError("x"),
        errors.AlchemyQuotaError("x"),
        errors.AlchemyRequestError("x"),
        errors.AlchemyEndpointGoneError("x"),
        errors.AlchemyHostNotFoundError("x"),
        errors.AlchemyAddressError("x"),
        errors.AlchemyUnexpectedAnswerError("x"),
        errors.AlchemyError("x"),
        KeyError("a bug of ours"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_user_must_mend_and_bugs_are_not_tried_again(error: Exception) -> None:
    assert Retrying()(error) is False


def test_the_pauses_of_one_call_grow() -> None:
    retrying = Retrying()
    pauses = [retrying(errors.AlchemyServerError("x")) for _ in range(4)]
    assert [int(pause) for pause in pauses] == [1, 2, 4, 8]


def test_retry_after_is_honoured() -> None:
    pause = Retrying()(errors.AlchemyRateLimitError("x", retry_after_seconds=30))
    assert 30 <= pause <= 31


@pytest.mark.parametrize(
    ("left", "asked", "is_tried_again"),
    [(60, None, True), (2.5, None, True), (0.5, None, False), (0, None, False), (-5, None, False), (60, 120, False)],
    ids=["far", "just enough", "too near", "now", "over", "nearer than the service asks for"],
)
def test_no_pause_outlasts_the_deadline(left: float, asked: float | None, is_tried_again: bool) -> None:
    with time_machine.travel(NOW, tick=False):
        retrying = Retrying(NOW.add(seconds=left))
        pause = retrying(errors.AlchemyServerError("x", retry_after_seconds=asked))
    assert (pause is not False) is is_tried_again
    assert pause is False or pause <= left
