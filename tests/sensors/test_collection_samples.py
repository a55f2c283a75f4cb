# SPDX-License-Identifier: Apache-2.0
"""Which tokens the sensor of fresh metadata samples, and what a retry remembers: the same in each of its modes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from airflow_provider_alchemy.api.errors import AlchemyListingError
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.conftest import TaskLog
from tests.sensors.freshness import (
    CONTRACT,
    LIST,
    looks_of,
    minutes_ago,
    refresh,
    sensor_in,
    set_fresh,
)
from tests.tasks.lives import ADDRESS, MODES, Life, StateStore, TaskInstance, context_of, failure, late_once, once

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("mode", MODES)]


class TestTheSample:
    def test_it_is_a_part_of_the_collection_and_named_in_the_result(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator, tokens=1_000)

        result = Life().lead(sensor_in(mode, sample_size=30))

        named = [int(token_id) for token_id in result["token_ids"]]
        assert (len(set(named)), set(named) <= set(range(1_000))) == (30, True)
        assert looks_of(emulator) == [tuple(named)]

    def test_the_same_seed_samples_the_same_tokens(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator, tokens=1_000)

        samples = [Life().lead(sensor_in(mode, sample_size=30, seed=seed))["token_ids"] for seed in (1, 1, 2)]

        assert samples[0] == samples[1] != samples[2]

    def test_its_seed_is_told_also_where_nobody_chose_one(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator, tokens=1_000)

        first = Life().lead(sensor_in(mode, sample_size=30))
        again = Life().lead(sensor_in(mode, sample_size=30, seed=first["seed"]))

        assert first["token_ids"] == again["token_ids"]

    def test_the_list_is_read_once(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=250)

        with once(lambda: len(looks_of(emulator)) > 2, lambda: refresh(emulator, range(250))):
            life = Life()
            life.lead(sensor_in(mode))

        assert (emulator.count(CONTRACT), emulator.count(LIST)) == (1, 3)

    def test_the_price_of_the_list_is_said_before_it_is_read(
        self, mode: str, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        set_fresh(emulator, tokens=1_000)

        Life().lead(sensor_in(mode))

        assert "reading the list of its 1,000 tokens, for 6,000 compute units, for a sample" in task_log()

    def test_a_collection_smaller_than_the_sample_is_looked_at_whole(
        self, mode: str, emulator: AlchemyEmulator
    ) -> None:
        set_fresh(emulator, tokens=3, first_id=2**200)

        assert Life().lead(sensor_in(mode))["token_ids"] == [str(2**200 + at) for at in range(3)]

    def test_an_empty_collection_is_finished(self, mode: str, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
        emulator.set_collection(ADDRESS, tokens=0)

        result = Life().lead(sensor_in(mode))

        assert (result["state"], result["counts"]["tokens"], result["token_ids"]) == ("finished", 0, [])
        assert "finished, 0 of 0 tokens" in task_log()

    def test_a_list_that_ends_early_proves_no_collection(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=100, total_supply="10000")

        error = failure(sensor_in(mode))

        assert isinstance(error, AlchemyListingError)
        assert "has 10,000 tokens, and Alchemy lists only 100 of them" in str(error)

    @pytest.mark.parametrize("form", ["hex", "decimal"])
    def test_page_keys_in_either_form_lead_through_the_list(
        self, mode: str, form: str, emulator: AlchemyEmulator
    ) -> None:
        emulator.configure(page_key_form=form, last_page_key="null")
        set_fresh(emulator, tokens=350)

        assert Life().lead(sensor_in(mode, sample_size=350))["counts"]["fresh"] == 350


class TestWhatIsRemembered:
    def test_a_retry_asks_only_for_what_is_not_proven(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=300)
        since, store = minutes_ago(1), StateStore()
        refresh(emulator, range(200))
        with once(lambda: len(looks_of(emulator)) > 1, lambda: emulator.add_fault("http", status=401)):
            failure(sensor_in(mode, fresh_since=since), context_of(store=store))
        emulator.clear_faults()
        refresh(emulator, range(300))
        listed, looked = emulator.count(LIST), len(looks_of(emulator))

        second_try = TaskInstance(try_number=2, max_tries=1)
        result = Life().lead(sensor_in(mode, fresh_since=since, retries=1), context_of(second_try, store))

        assert (emulator.count(LIST), result["counts"]["fresh"]) == (listed, 100)
        assert all(min(tokens) >= 200 for tokens in looks_of(emulator)[looked:])

    def test_another_moment_needs_another_proof(
        self, mode: str, emulator: AlchemyEmulator, clock: time_machine.Traveller
    ) -> None:
        set_fresh(emulator)
        store = StateStore()
        Life().lead(sensor_in(mode), context_of(store=store))

        sensor = sensor_in(mode, fresh_since=datetime.now(UTC) + timedelta(minutes=2))

        with late_once(lambda: len(looks_of(emulator)) > 2, clock):
            assert isinstance(failure(sensor, context_of(store=store)), AirflowSensorTimeout)

    def test_other_tokens_are_another_question(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)
        store = StateStore()
        Life().lead(sensor_in(mode, token_ids=[1, 2]), context_of(store=store))

        assert Life().lead(sensor_in(mode, token_ids=[3]), context_of(store=store))["token_ids"] == ["3"]
