# SPDX-License-Identifier: Apache-2.0
"""What the sensor of fresh metadata makes of tokens and their proofs: the same in each of its modes."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_alchemy.api.errors import AlchemyNoSuchCollectionError, AlchemyTokensFailedError
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.conftest import TaskLog
from tests.sensors.freshness import (
    BATCH,
    RESULT_KEYS,
    looks_of,
    minutes_ago,
    refresh,
    sensor_in,
    set_fresh,
    spent_on_looking,
)
from tests.tasks.lives import ADDRESS, LOWER, MODES, Life, failure, late_once, once

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("mode", MODES)]


class TestWhatItReturns:
    def test_it_has_exactly_the_documented_keys(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)

        assert set(Life().lead(sensor_in(mode))) == RESULT_KEYS

    def test_it_names_collection_network_and_state(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)

        result = Life().lead(sensor_in(mode))

        assert [result[key] for key in ("contract_address", "network", "state", "progress")] == [
            LOWER,
            "eth-mainnet",
            "finished",
            100,
        ]

    def test_its_moment_is_in_utc(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)

        result = Life().lead(sensor_in(mode, fresh_since="2026-11-01T02:00:00+02:00"))

        assert result["fresh_since"] == "2026-11-01T00:00:00+00:00"

    def test_its_counts_are_those_of_the_tokens(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator, tokens=150)

        result = Life().lead(sensor_in(mode, token_ids=range(150)))

        assert (result["counts"], result["failures"]) == ({"tokens": 150, "fresh": 150, "stale": 0, "failed": 0}, {})

    def test_polls_and_units_are_those_that_the_service_counted(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=250)

        with once(lambda: len(looks_of(emulator)) > 2, lambda: refresh(emulator, range(250))):
            result = Life().lead(sensor_in(mode))

        assert (result["polls"], result["compute_units"]) == spent_on_looking(emulator)

    def test_it_says_when_the_waiting_began_and_ended(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)
        before = datetime.now(UTC).isoformat()

        result = Life().lead(sensor_in(mode))

        assert before < result["submitted_at"] < result["finished_at"] < datetime.now(UTC).isoformat()

    def test_at_most_a_thousand_of_the_given_tokens_are_named(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator, tokens=1_200)

        result = Life().lead(sensor_in(mode, token_ids=range(1_200)))

        assert (result["counts"]["fresh"], result["token_ids"]) == (1_200, [str(number) for number in range(1_000)])


class TestWhatIsAsked:
    def test_tokens_that_become_fresh_are_waited_for(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)

        with once(lambda: len(looks_of(emulator)) > 2, lambda: refresh(emulator, range(10))):
            result = Life().lead(sensor_in(mode))

        assert (result["counts"]["fresh"], len(looks_of(emulator)) > 2) == (10, True)

    def test_only_tokens_that_are_not_proven_are_asked_for_again(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)
        since = minutes_ago(1)
        refresh(emulator, range(7))

        with once(lambda: len(looks_of(emulator)) > 1, lambda: refresh(emulator, range(7, 10))):
            Life().lead(sensor_in(mode, fresh_since=since))

        first, *others = looks_of(emulator)
        assert (first, set(others)) == (tuple(range(10)), {(7, 8, 9)})

    def test_looking_refreshes_nothing(
        self, mode: str, emulator: AlchemyEmulator, clock: time_machine.Traveller
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=10)

        with late_once(lambda: len(looks_of(emulator)) > 1, clock):
            failure(sensor_in(mode))

        assert not any(call.refreshes for call in emulator.calls)

    def test_a_hundred_tokens_are_one_call(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator, tokens=250)

        Life().lead(sensor_in(mode, token_ids=range(250)))

        assert [len(tokens) for tokens in looks_of(emulator)] == [100, 100, 50]

    def test_nobody_asks_again_once_all_are_fresh(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)

        Life().lead(sensor_in(mode, token_ids=[3, 4]))

        assert looks_of(emulator) == [(3, 4)]

    def test_given_tokens_need_no_listing(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)

        result = Life().lead(sensor_in(mode, token_ids=[5]))

        assert (emulator.count(), emulator.count(BATCH), result["seed"]) == (1, 1, None)

    def test_ids_in_all_forms_are_asked_for_once(self, mode: str, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
        set_fresh(emulator, tokens=300)

        result = Life().lead(sensor_in(mode, token_ids=[255, "0xff", "0xFF", "255", "7", 7, 0x10]))

        assert (looks_of(emulator), result["token_ids"]) == ([(255, 7, 16)], ["255", "7", "16"])
        assert "4 of the token ids are named more than once" in task_log()

    def test_no_tokens_are_finished_without_a_call(
        self, mode: str, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        result = Life().lead(sensor_in(mode, token_ids=[]))

        assert (result["state"], result["counts"]["tokens"], emulator.count()) == ("finished", 0, 0)
        assert "finished, 0 of 0 tokens" in task_log()


class TestTheProof:
    def test_metadata_that_is_older_is_none(
        self, mode: str, emulator: AlchemyEmulator, clock: time_machine.Traveller
    ) -> None:
        set_fresh(emulator)

        with late_once(lambda: len(looks_of(emulator)) > 1, clock):
            error = failure(sensor_in(mode, fresh_since=datetime.now(UTC) + timedelta(minutes=2)))

        assert isinstance(error, AirflowSensorTimeout)
        assert "0 of 10 tokens were newer than" in str(error)

    def test_a_token_with_an_error_is_not_fresh(
        self, mode: str, emulator: AlchemyEmulator, clock: time_machine.Traveller
    ) -> None:
        set_fresh(emulator)
        emulator.set_tokens(ADDRESS, [4], error="Throttled token uri")

        with late_once(lambda: len(looks_of(emulator)) > 1, clock):
            error = failure(sensor_in(mode))

        assert isinstance(error, AirflowSensorTimeout)
        assert "9 of 10 tokens were newer" in str(error)
        assert "(0 not, 1 with an error)" in str(error)

    def test_a_token_whose_error_goes_away_becomes_fresh(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)
        emulator.set_tokens(ADDRESS, [4], error="IPFS gateway timed out")

        with once(lambda: len(looks_of(emulator)) > 1, lambda: emulator.set_tokens(ADDRESS, [4])):
            result = Life().lead(sensor_in(mode))

        assert (result["counts"]["fresh"], result["failures"]) == (10, {})

    def test_a_share_of_the_tokens_may_be_enough(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)
        emulator.set_tokens(ADDRESS, [4], error="Malformed token uri")

        result = Life().lead(sensor_in(mode, min_fresh=0.9))

        assert result["counts"] == {"tokens": 10, "fresh": 9, "stale": 0, "failed": 1}
        assert result["failures"] == {"malformed_token_uri": {"tokens": 1, "token_ids": ["4"]}}
        assert result["progress"] == 90

    def test_a_number_of_tokens_may_be_enough(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)
        since = minutes_ago(1)
        refresh(emulator, [8])

        result = Life().lead(sensor_in(mode, fresh_since=since, min_fresh=1))

        assert result["counts"] == {"tokens": 10, "fresh": 1, "stale": 9, "failed": 0}

    def test_too_many_errors_that_stay_fail_at_once(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)
        emulator.set_tokens(ADDRESS, [2, 3], error="Malformed token uri")
        emulator.set_tokens(ADDRESS, [4], error="Token does not exist")

        error = failure(sensor_in(mode, min_fresh=0.8))

        assert isinstance(error, AlchemyTokensFailedError)
        assert error.is_permanent
        assert isinstance(error, AirflowFailException)
        assert "malformed_token_uri 2 (token 2, 3); no_such_token 1 (token 4)" in str(error)
        assert len(looks_of(emulator)) == 1

    def test_tokens_whose_error_stays_are_not_asked_for_again(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)
        emulator.set_tokens(ADDRESS, [2], error="Bad Token URI")

        def asked() -> Counter[int]:
            return Counter(token_id for look in looks_of(emulator) for token_id in look)

        with once(lambda: asked()[3] > 1, lambda: refresh(emulator, range(10))):
            Life().lead(sensor_in(mode, min_fresh=0.5))

        assert asked()[2] == 1

    def test_a_token_that_the_collection_does_not_have_fails_for_good(
        self, mode: str, emulator: AlchemyEmulator
    ) -> None:
        set_fresh(emulator)

        error = failure(sensor_in(mode, token_ids=[3, 99]))

        assert isinstance(error, AlchemyTokensFailedError)
        assert error.is_permanent
        assert "no_such_token 1 (token 99)" in str(error)

    @pytest.mark.parametrize("tokens", [None, [1, 2]])
    @pytest.mark.parametrize("kind", ["NOT_A_CONTRACT", "NO_SUPPORTED_NFT_STANDARD"])
    def test_a_contract_that_is_no_nft_fails_for_good(
        self, mode: str, kind: str, tokens: Any, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_collection(ADDRESS, token_type=kind)

        error = failure(sensor_in(mode, token_ids=tokens))

        assert isinstance(error, AlchemyNoSuchCollectionError)
        assert isinstance(error, AirflowFailException)
        assert emulator.count() == 1


class TestTheLog:
    def test_its_last_line_has_duration_polls_and_units(
        self, mode: str, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        set_fresh(emulator)

        Life().lead(sensor_in(mode))

        assert "finished, 10 of 10 tokens were newer than" in task_log()
        assert "3 polls, 1,240 compute units" in task_log()

    def test_polls_without_news_say_nothing(
        self, mode: str, emulator: AlchemyEmulator, task_log: TaskLog, clock: time_machine.Traveller
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=10)

        with late_once(lambda: len(looks_of(emulator)) > 3, clock):
            failure(sensor_in(mode))

        assert task_log().count("tokens proven fresh") == 0
