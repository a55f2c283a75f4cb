# SPDX-License-Identifier: Apache-2.0
"""A sensor of new tokens in trouble: faults, deadlines, skips, spending, restarts of its task."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyDeadlineError,
    AlchemyEndpointGoneError,
    AlchemyRequestError,
    AlchemyServerError,
    AlchemySpendingLimitError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.waits.interval import Interval
from tests.conftest import ConnectTo, TaskLog
from tests.sensors.minting import (
    BLOCK,
    FIRST,
    LOGS,
    NEWEST,
    are_read_once,
    has_looked,
    mint,
    sensor_in,
    spent,
    windows_of,
)
from tests.tasks.lives import (
    ADDRESS,
    AN_HOUR_AND_MORE,
    LOWER,
    MODES,
    PASSING_FAULTS,
    Life,
    failure,
    late_once,
    life_with_pauses,
    once,
)

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def blocks_on_command(emulator: AlchemyEmulator) -> None:
    emulator.configure(block_seconds=None)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.usefixtures("quick_backoff")
class TestFaults:
    @pytest.mark.parametrize("fault", PASSING_FAULTS, ids=lambda fault: str(fault.get("status") or fault["kind"]))
    def test_a_fifth_of_faulty_answers_loses_no_token_and_reads_no_block_twice(
        self, mode: str, fault: dict[str, Any], emulator: AlchemyEmulator
    ) -> None:
        emulator.configure(max_block_range=10)
        for token_id in range(20):
            emulator.mint(ADDRESS, [token_id])
            emulator.mine_blocks(9)
        emulator.add_fault(**fault, probability=0.2)

        with once(has_looked(emulator, 20, LOGS), lambda: mint(emulator, [20])):
            result = Life().lead(sensor_in(mode, since_block=FIRST + 1, min_tokens=21, poke_interval=0.02))

        assert result["token_ids"] == [str(token_id) for token_id in range(21)]
        assert are_read_once(windows_of(emulator), FIRST + 1, result["until_block"])
        assert (result["polls"], result["compute_units"]) == spent(emulator)

    def test_the_search_for_a_block_goes_on_where_it_failed(self, mode: str, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])
        since = "2026-01-01T00:00:00Z"
        calm = Life().lead(sensor_in(mode, since=since))["since_block"]
        asked = emulator.count(BLOCK)
        with once(
            has_looked(emulator, asked + 2, BLOCK),
            lambda: emulator.add_fault("http", status=503, endpoint=BLOCK, times=3),
        ):
            result = Life().lead(sensor_in(mode, since=since))

        assert result["since_block"] == calm
        assert emulator.count(BLOCK) <= 2 * asked + 3

    def test_polls_that_fail_in_a_row_are_given_up(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=500, endpoint=LOGS)
        mint(emulator, [1])

        error = failure(sensor_in(mode, since_block=FIRST, max_consecutive_failures=3))

        assert (type(error), emulator.count(LOGS)) == (AlchemyServerError, 4)
        assert f"of {'eth-mainnet'} (connection 'alchemy_default')" in str(error)

    def test_enough_tokens_are_enough_where_the_rest_cannot_be_read(
        self, mode: str, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        emulator.configure(max_block_range=10)
        mint(emulator, [1])
        emulator.mine_blocks(100)

        with once(lambda: len(windows_of(emulator)) > 1, lambda: emulator.add_fault("http", status=500, endpoint=LOGS)):
            result = Life().lead(sensor_in(mode, since_block=FIRST, max_consecutive_failures=1))

        assert (result["state"], result["token_ids"]) == ("finished", ["1"])
        assert are_read_once(windows_of(emulator), FIRST, result["until_block"])
        is_cut = result["until_block"] < FIRST + 100
        assert ("ending with what was found" in task_log()) is is_cut

    def test_a_refused_key_fails_for_good(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=401)

        error = failure(sensor_in(mode))

        assert isinstance(error, AlchemyAuthenticationError)
        assert isinstance(error, AirflowFailException)
        assert emulator.count() == 1

    def test_a_request_that_is_refused_for_good_fails_for_good(self, mode: str, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])
        emulator.add_fault("http", status=400, message="Invalid arg", endpoint=LOGS)

        error = failure(sensor_in(mode, since_block=FIRST))

        assert isinstance(error, AlchemyRequestError)
        assert isinstance(error, AirflowFailException)
        assert emulator.count(LOGS) <= 6

    def test_a_refusal_that_does_not_say_why_is_asked_for_less(self, mode: str, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])
        emulator.add_fault("http", status=400, message="Invalid arg", endpoint=LOGS, times=2)

        assert Life().lead(sensor_in(mode, since_block=FIRST))["token_ids"] == ["1"]

    def test_an_answer_that_the_api_reference_does_not_know_fails(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("wrong_types", endpoint=NEWEST)

        assert type(failure(sensor_in(mode))) is AlchemyUnexpectedAnswerError

    @pytest.mark.parametrize(
        ("status", "message"),
        [
            (400, "Unsupported method: eth_getBlockByNumber"),
            (400, "This endpoint isn't enabled for that chain or network just yet"),
            (400, "the method eth_getBlockByNumber does not exist/is not available"),
            (404, "Not found"),
        ],
    )
    def test_where_no_block_tells_its_time_the_error_says_what_to_write(
        self, mode: str, status: int, message: str, emulator: AlchemyEmulator
    ) -> None:
        emulator.add_fault("http", status=status, message=message, endpoint=BLOCK)

        error = failure(sensor_in(mode, since="2026-01-01T00:00:00Z"))

        assert isinstance(error, AlchemyEndpointGoneError)
        assert isinstance(error, AirflowFailException)
        assert "Name the first block with since_block instead of since" in str(error)
        assert LOWER in str(error)


@pytest.mark.parametrize("mode", MODES)
class TestDeadlines:
    def test_the_timeout_ends_the_wait_with_airflows_exception(self, mode: str, emulator: AlchemyEmulator) -> None:
        error = failure(sensor_in(mode, timeout=0.5, poke_interval=600))

        assert isinstance(error, AirflowSensorTimeout)
        assert isinstance(error, AlchemyDeadlineError)
        assert f"block {FIRST:,} was not confirmed yet when the task's timeout was over" in str(error)
        assert emulator.count(LOGS) == 0

    def test_a_moment_that_does_not_come_in_time_is_named(self, mode: str, emulator: AlchemyEmulator) -> None:
        error = failure(sensor_in(mode, timeout=0.3, since="2099-01-01T00:00:00Z"))

        assert isinstance(error, AirflowSensorTimeout)
        assert "no block since 2099-01-01T00:00:00+00:00 was known" in str(error)
        assert emulator.count(BLOCK) == 1

    def test_tokens_that_are_minted_at_the_last_look_are_no_timeout(
        self, mode: str, emulator: AlchemyEmulator, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def mint_and_be_late() -> None:
            mint(emulator, [1])
            clock.shift(AN_HOUR_AND_MORE)

        assert life_with_pauses(mint_and_be_late, monkeypatch).lead(sensor_in(mode))["token_ids"] == ["1"]

    def test_zero_looks_once(self, mode: str, emulator: AlchemyEmulator) -> None:
        assert isinstance(failure(sensor_in(mode, timeout=0)), AirflowSensorTimeout)
        assert emulator.count(NEWEST) == 1

    def test_an_account_without_room_outlasts_no_deadline_for_long(
        self, mode: str, emulator: AlchemyEmulator, connect: ConnectTo
    ) -> None:
        connect(compute_units_per_second=48, timeout=0.3)
        emulator.configure(max_block_range=1)
        emulator.mine_blocks(1_000)

        error = failure(sensor_in(mode, since_block=FIRST, timeout=0.3))

        assert isinstance(error, AirflowSensorTimeout)
        assert "left no room" in str(error)

    def test_exponential_backoff_and_max_wait_set_the_interval(self, mode: str) -> None:
        growing = {"poke_interval": 10, "exponential_backoff": True}

        free, bound = sensor_in(mode, **growing), sensor_in(mode, **growing, max_wait=timedelta(seconds=60))

        assert free.interval() == Interval(seconds=10, exponential=True)
        assert bound.interval() == Interval(seconds=10, exponential=True, max_seconds=60)

    @pytest.mark.parametrize("rule", ["soft_fail", "never_fail"])
    @pytest.mark.usefixtures("emulator")
    def test_a_timeout_is_skipped_where_the_sensor_says_so(self, mode: str, rule: str) -> None:
        assert type(failure(sensor_in(mode, timeout=0.2, **{rule: True}))) is AirflowSkipException

    def test_soft_fail_skips_what_no_retry_mends_and_nothing_else(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("wrong_types", endpoint=NEWEST)
        assert not isinstance(failure(sensor_in(mode, soft_fail=True)), AirflowSkipException)
        assert type(failure(sensor_in(mode, never_fail=True))) is AirflowSkipException

        emulator.clear_faults()
        emulator.add_fault("http", status=401)
        assert type(failure(sensor_in(mode, soft_fail=True))) is AirflowSkipException


@pytest.mark.parametrize("mode", MODES)
class TestWhatItMaySpend:
    def test_polls_end_where_the_units_do(self, mode: str, emulator: AlchemyEmulator) -> None:
        error = failure(sensor_in(mode, max_compute_units=100))

        assert isinstance(error, AlchemySpendingLimitError)
        assert isinstance(error, AirflowFailException)
        assert "one more poll costs 70, and max_compute_units is 100" in str(error)
        assert emulator.compute_units == 40

    def test_a_look_stops_in_the_middle_and_says_how_far_it_came(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.configure(max_block_range=10)
        emulator.mine_blocks(100)

        error = failure(sensor_in(mode, since_block=FIRST, max_compute_units=400))

        assert isinstance(error, AlchemySpendingLimitError)
        assert f"0 new tokens in blocks {FIRST:,} to" in str(error)
        assert emulator.compute_units <= 400

    def test_exactly_what_it_costs_is_enough(self, mode: str, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])

        assert Life().lead(sensor_in(mode, since_block=FIRST, max_compute_units=70))["compute_units"] == 70


@pytest.mark.parametrize("mode", MODES)
class TestTheLog:
    def test_its_last_line_has_tokens_blocks_polls_and_units(
        self, mode: str, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        mint(emulator, [1, 2])

        Life().lead(sensor_in(mode, since_block=FIRST))

        assert f"finished, 2 new tokens in blocks {FIRST:,} to {FIRST + 1:,}" in task_log()
        assert "2 polls, 70 compute units" in task_log()

    def test_polls_without_news_say_nothing(self, mode: str, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
        with once(has_looked(emulator, 5), lambda: mint(emulator, [1])):
            Life().lead(sensor_in(mode))

        log = task_log()
        assert ("no new tokens" in log, "1 new token in blocks" in log) == (False, True)


@pytest.mark.parametrize("mode", MODES)
def test_the_key_is_in_no_text(
    mode: str, emulator: AlchemyEmulator, connect: ConnectTo, task_log: TaskLog, clock: time_machine.Traveller
) -> None:
    connect(max_attempts=1)
    life = Life()

    with late_once(has_looked(emulator, 2), clock), pytest.raises(AirflowSensorTimeout) as caught:
        life.lead(sensor_in(mode))

    told = json.dumps([life.events, [one.trigger.serialize() for one in life.deferrals]])
    assert emulator.api_key not in f"{told}{caught.value}{task_log()}"
