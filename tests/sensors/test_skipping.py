# SPDX-License-Identifier: Apache-2.0
"""``soft_fail`` and ``never_fail``: which failures become a skip, alike in every mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException

from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.lives import ADDRESS, MODES, failure, once, outcome, sensor_in, was_asked

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("mode", MODES), pytest.mark.usefixtures("quick_backoff")]

Trouble = Callable[[AlchemyEmulator], Any]


def never_ends(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600)


def is_no_collection(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, outcome="does_not_exist")


def refuses_the_key(emulator: AlchemyEmulator) -> None:
    emulator.add_fault("http", status=401)


def cannot_be_queued(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=0.1, outcome="queue_failed")


def is_broken(emulator: AlchemyEmulator) -> None:
    emulator.add_fault("http", status=500)


def answers_nonsense(emulator: AlchemyEmulator) -> None:
    emulator.add_fault("wrong_types")


SHORT: dict[str, Any] = {"timeout": 0.3, "max_consecutive_failures": 2}
FINAL = [never_ends, is_no_collection, refuses_the_key]
OTHER = [cannot_be_queued, is_broken, answers_nonsense]


def arguments_for(trouble: Trouble) -> dict[str, Any]:
    """Give a short timeout to the trouble that only a timeout ends: the others have to be seen before it."""
    return SHORT if trouble is never_ends else {**SHORT, "timeout": 60}


@pytest.mark.parametrize("trouble", FINAL)
def test_soft_fail_skips_on_timeouts_and_on_what_no_retry_mends(
    mode: str, trouble: Trouble, emulator: AlchemyEmulator
) -> None:
    trouble(emulator)

    assert type(failure(sensor_in(mode, soft_fail=True, **arguments_for(trouble)))) is AirflowSkipException


@pytest.mark.parametrize("trouble", OTHER)
def test_soft_fail_does_not_skip_on_what_a_retry_may_mend(
    mode: str, trouble: Trouble, emulator: AlchemyEmulator
) -> None:
    trouble(emulator)

    assert not isinstance(failure(sensor_in(mode, soft_fail=True, **arguments_for(trouble))), AirflowSkipException)


@pytest.mark.parametrize("trouble", FINAL + OTHER)
def test_never_fail_skips_on_any_failure(mode: str, trouble: Trouble, emulator: AlchemyEmulator) -> None:
    trouble(emulator)

    assert type(failure(sensor_in(mode, never_fail=True, **arguments_for(trouble)))) is AirflowSkipException


def test_a_skip_says_what_went_wrong_and_which_argument_skipped(mode: str, emulator: AlchemyEmulator) -> None:
    is_no_collection(emulator)

    text = str(failure(sensor_in(mode, soft_fail=True)))

    assert "soft_fail=True" in text
    assert "does_not_exist" in text


@pytest.mark.parametrize("rule", ["soft_fail", "never_fail"])
def test_a_refresh_that_finishes_is_returned_all_the_same(mode: str, rule: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0.1)

    end = outcome(sensor_in(mode, **{rule: True}))

    assert isinstance(end, dict), end


@pytest.mark.parametrize("rule", ["soft_fail", "never_fail"])
def test_a_key_refused_in_the_middle_of_a_wait_is_skipped_too(mode: str, rule: str, emulator: AlchemyEmulator) -> None:
    never_ends(emulator)

    with once(was_asked(emulator), lambda: refuses_the_key(emulator)):
        error = failure(sensor_in(mode, **{rule: True}))

    assert type(error) is AirflowSkipException


@pytest.mark.parametrize("trouble", [is_broken, never_ends])
def test_silent_fail_goes_on_after_any_number_of_failed_polls(
    mode: str, trouble: Trouble, emulator: AlchemyEmulator
) -> None:
    trouble(emulator)

    error = failure(sensor_in(mode, silent_fail=True, **SHORT))

    assert isinstance(error, AirflowSensorTimeout)


@pytest.mark.parametrize("trouble", [is_no_collection, refuses_the_key, cannot_be_queued, answers_nonsense])
def test_silent_fail_hides_nothing_that_waiting_cannot_mend(
    mode: str, trouble: Trouble, emulator: AlchemyEmulator
) -> None:
    trouble(emulator)

    error = failure(sensor_in(mode, silent_fail=True, **arguments_for(trouble)))

    assert not isinstance(error, AirflowSensorTimeout | AirflowSkipException)
