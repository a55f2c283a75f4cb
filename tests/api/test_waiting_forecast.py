# SPDX-License-Identifier: Apache-2.0
"""A wait that follows the progress: when it looks, what its answer is worth, and that the forecast travels."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import time_machine
from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.records import WaitRecord
from airflow_provider_alchemy.api.waiting import RefreshWait

from airflow_provider_alchemy.api.errors import AlchemyServerError

from .waits import NOW, SUBJECT, in_seconds, look, status, wait_with

ADAPTIVE = Cadence(interval_seconds=60, max_interval_seconds=600, adaptive=True)
STEADY = Cadence(interval_seconds=60)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def half_way(clock: time_machine.Traveller, cadence: Cadence = ADAPTIVE) -> tuple[RefreshWait, float]:
    """Look at a refresh of a thousand seconds until it is half done; give the wait and its next delay."""
    wait, delay = wait_with(cadence=cadence), 0.0
    look(wait, status("in_progress", 0))
    for seconds in (100, 200, 300, 400, 500):
        clock.move_to(NOW.add(seconds=seconds))
        delay = look(wait, status("in_progress", seconds / 10)).delay_seconds or 0.0
    return wait, delay


def test_an_adaptive_wait_looks_more_rarely_than_its_interval(clock: time_machine.Traveller) -> None:
    assert half_way(clock)[1] > 60


def test_a_steady_wait_keeps_to_its_interval(clock: time_machine.Traveller) -> None:
    assert half_way(clock, STEADY)[1] == 60


def test_a_failed_look_is_made_up_for_soon(clock: time_machine.Traveller) -> None:
    wait, delay = half_way(clock)
    clock.shift(delay)
    after_failure = look(wait, AlchemyServerError("busy")).delay_seconds
    assert after_failure is not None
    assert 60 <= after_failure < delay


def test_the_forecast_survives_the_way_through_the_database(clock: time_machine.Traveller) -> None:
    wait, delay = half_way(clock)
    record = WaitRecord.read(json.loads(json.dumps(wait.record.to_dict())))
    assert record is not None
    again = RefreshWait(record, subject=SUBJECT, cadence=ADAPTIVE)
    assert delay <= again.first_delay_seconds() <= delay + 30


class TestTheFirstLook:
    def test_it_comes_at_once_where_the_wait_submits(self) -> None:
        assert wait_with(submits=True, cadence=ADAPTIVE).first_delay_seconds() == 0

    @pytest.mark.parametrize("cadence", [ADAPTIVE, STEADY])
    def test_it_comes_in_a_random_part_of_the_interval_where_nobody_looked(self, cadence: Cadence) -> None:
        delays = {wait_with(cadence=cadence).first_delay_seconds() for _ in range(50)}
        assert len(delays) > 40
        assert all(0 <= delay <= 60 for delay in delays)

    def test_it_comes_an_interval_after_the_workers_where_the_wait_is_adaptive(self) -> None:
        wait = wait_with(cadence=ADAPTIVE)
        look(wait, "queued")
        delays = {wait.first_delay_seconds() for _ in range(50)}
        assert len(delays) > 40
        assert all(60 <= delay <= 90 for delay in delays)


class TestWhatAnAnswerIsWorth:
    def test_no_more_than_another_while_the_end_is_far(self, clock: time_machine.Traveller) -> None:
        assert half_way(clock)[0].head_start_seconds(60) == 0

    def test_an_interval_where_the_refresh_should_have_ended(self, clock: time_machine.Traveller) -> None:
        assert half_way(clock)[0].head_start_seconds(520) == 60

    def test_an_interval_where_time_is_over(self) -> None:
        assert wait_with(cadence=STEADY, deadline=in_seconds(30)).head_start_seconds(30) == 60

    def test_no_more_than_another_where_progress_is_not_followed(self, clock: time_machine.Traveller) -> None:
        assert half_way(clock, STEADY)[0].head_start_seconds(520) == 0


class TestASubmission:
    def test_it_is_tried_again_quickly_until_the_service_has_answered(self) -> None:
        delay = look(wait_with(submits=True), AlchemyServerError("busy")).delay_seconds
        assert delay is not None
        assert delay <= 2

    def test_a_poll_after_it_waits_for_its_interval(self) -> None:
        wait = wait_with(submits=True)
        look(wait, "queued")
        assert look(wait, AlchemyServerError("busy")).delay_seconds == 60
