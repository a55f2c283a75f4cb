# SPDX-License-Identifier: Apache-2.0
"""Arguments of the sensor of fresh metadata that cannot be right: named, refused early, and nothing is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_alchemy.api.errors import (
    AlchemyArgumentError,
    AlchemyNetworkError,
    AlchemySpendingLimitError,
    AlchemyTokenIdError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.sensors.freshness import LIST, looks_of, sensor_in, set_fresh
from tests.tasks.lives import ADDRESS, MODES, Life, failure

pytestmark = pytest.mark.integration

ADVICE = "Write a moment with its time zone: '{{ dag_run.start_date }}'"
NO_MOMENT = [
    ("", "is empty, or its template rendered to nothing"),
    ("  ", "is empty, or its template rendered to nothing"),
    ("None", "is empty, or its template rendered to nothing"),
    ("2026-11-22", "which has no time zone"),
    ("2026-11-22T10:00:00", "which has no time zone"),
    (datetime(2026, 11, 22), "which has no time zone"),  # noqa: DTZ001 - the mistake
    ("yesterday", "'yesterday', which is no moment"),
    ("22.11.2026 10:00+00:00", "which is no moment"),
    (None, "is None, which is no moment"),
    (1_790_000_000, "which is no moment"),
    (timedelta(hours=1), "which is no moment"),
    ("9999-12-31T23:59:59-12:00", "which is beyond the calendar"),
]
NO_IDS: list[tuple[Any, str]] = [
    ([-1], "token_ids[0] (number 1 of 1) is -1, which is no token id"),
    ([7, ""], "token_ids[1] (number 2 of 2) is empty, which is no token id"),
    ([7, 8, "dragon"], "token_ids[2] (number 3 of 3) is 'dragon', which is no token id"),
    ([2**256], "which is no token id"),
    ([1.5], "token_ids[0] (number 1 of 1) is 1.5, which is no token id"),
    ([True], "is True, which is no token id"),
    ([None], "is None, which is no token id"),
    ("1, 2, -3", "token_ids[2] (number 3 of 3) is '-3', which is no token id"),
    ("0x", "is '0x', which is no token id"),
]


def set_rendered(sensor: Any, **values: Any) -> Any:
    """Give a sensor whose templates have rendered to something."""
    for name, value in values.items():
        setattr(sensor, name, value)
    return sensor


class TestWhereTheDagIsParsed:
    @pytest.mark.parametrize(("value", "problem"), NO_MOMENT)
    def test_a_moment_that_is_none_is_refused_with_what_to_write(self, value: Any, problem: str) -> None:
        with pytest.raises(AlchemyArgumentError) as caught:
            sensor_in("poke", fresh_since=value)

        text = str(caught.value)
        assert ("argument 'fresh_since'" in text, problem in text, ADVICE in text) == (True, True, True), text
        assert isinstance(caught.value, AirflowFailException)

    @pytest.mark.parametrize(("ids", "problem"), NO_IDS)
    def test_a_token_id_that_is_none_is_refused_with_its_position(self, ids: Any, problem: str) -> None:
        with pytest.raises(AlchemyTokenIdError) as caught:
            sensor_in("poke", token_ids=ids)

        assert problem in str(caught.value)
        assert isinstance(caught.value, AirflowFailException)

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ({"sample_size": 0}, "argument 'sample_size' is 0; expected a whole number from 1 to 10,000"),
            ({"sample_size": 10_001}, "argument 'sample_size' is 10001"),
            ({"sample_size": 5.0}, "argument 'sample_size' is 5.0"),
            ({"sample_size": True}, "argument 'sample_size' is True"),
            ({"min_fresh": 1.1}, "argument 'min_fresh' is 1.1; expected a whole number of tokens"),
            ({"min_fresh": -1}, "argument 'min_fresh' is -1"),
            ({"min_fresh": True}, "argument 'min_fresh' is True"),
            ({"min_fresh": float("nan")}, "argument 'min_fresh' is nan"),
            ({"min_fresh": "all"}, "argument 'min_fresh' is 'all'"),
            ({"seed": "lucky"}, "argument 'seed' is 'lucky'"),
            ({"max_compute_units": 1_239}, "to ask for the tokens once costs 1,240 at least"),
            ({"max_compute_units": 959, "token_ids": range(101)}, "to ask for the tokens once costs 960 at least"),
            ({"max_compute_units": 1.5}, "argument 'max_compute_units' is 1.5"),
            ({"max_consecutive_failures": -1}, "argument 'max_consecutive_failures' is -1"),
            ({"token_ids": {"ids": [1]}}, "and no list"),
            ({"token_ids": 7}, "argument 'token_ids' is 7 and no list"),
            ({"token_ids": ""}, "argument 'token_ids' is empty"),
            ({"contract_address": "0x12"}, "which is no contract address"),
            ({"network": "Main Net"}, "argument 'network'"),
            ({"alchemy_conn_id": ""}, "argument 'alchemy_conn_id' is empty"),
        ],
    )
    def test_what_cannot_be_right_is_named(self, arguments: dict[str, Any], problem: str) -> None:
        with pytest.raises(AlchemyArgumentError) as caught:
            sensor_in("poke", **arguments)

        assert problem in str(caught.value)

    def test_templates_are_checked_only_when_they_are_rendered(self) -> None:
        template = "{{ ti.xcom_pull('a') }}"

        sensor = sensor_in("poke", fresh_since=template, token_ids=["{{ params.id }}", 7], contract_address=template)

        assert (sensor.fresh_since, sensor.token_ids) == (template, ["{{ params.id }}", 7])

    def test_ids_that_can_be_read_only_once_are_kept(self) -> None:
        assert sensor_in("poke", token_ids=(number for number in (1, "0x2"))).token_ids == [1, "0x2"]


@pytest.mark.parametrize("mode", MODES)
class TestWhereTheTaskRuns:
    @pytest.mark.parametrize(("value", "problem"), NO_MOMENT)
    def test_a_template_that_rendered_to_no_moment_sends_nothing(
        self, mode: str, value: Any, problem: str, emulator: AlchemyEmulator
    ) -> None:
        error = failure(set_rendered(sensor_in(mode), fresh_since=value))

        assert (problem in str(error), isinstance(error, AirflowFailException), emulator.count()) == (True, True, 0)

    def test_a_moment_in_the_future_is_refused(self, mode: str, emulator: AlchemyEmulator) -> None:
        error = failure(sensor_in(mode, fresh_since=datetime.now(UTC) + timedelta(hours=2, seconds=5)))

        assert isinstance(error, AirflowFailException)
        assert "2 hours" in str(error)
        assert "in the future: no metadata can be newer than that yet" in str(error)
        assert emulator.count() == 0

    def test_a_moment_less_than_five_minutes_ahead_is_another_machines_clock(
        self, mode: str, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_collection(ADDRESS, last_updated=datetime.now(UTC).timestamp() + 300)

        result = Life().lead(sensor_in(mode, fresh_since=datetime.now(UTC) + timedelta(minutes=4, seconds=50)))

        assert result["state"] == "finished"

    @pytest.mark.parametrize(("value", "problem"), [([1, "x"], "token_ids[1]"), (None, "is None"), ("", "is empty")])
    def test_a_template_that_rendered_to_no_tokens_samples_nothing(
        self, mode: str, value: Any, problem: str, emulator: AlchemyEmulator
    ) -> None:
        error = failure(set_rendered(sensor_in(mode, token_ids="{{ params.ids }}"), token_ids=value))

        assert (problem in str(error), isinstance(error, AirflowFailException), emulator.count()) == (True, True, 0)

    def test_pages_that_lead_back_fail_and_are_not_read_for_ever(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.configure(repeat_page_key=True)

        error = failure(sensor_in(mode))

        assert isinstance(error, AlchemyUnexpectedAnswerError)
        assert "which was read before" in str(error)
        assert emulator.count(LIST) <= 2

    def test_a_network_on_which_an_endpoint_does_not_work_is_final_and_named(
        self, mode: str, emulator: AlchemyEmulator
    ) -> None:
        message = (
            "This endpoint isn't enabled for that chain or network just yet - please contact the Alchemy team for "
            "support!"
        )
        emulator.add_fault("http", status=400, message=message, endpoint=LIST)

        error = failure(sensor_in(mode, network="zora-mainnet"))

        assert isinstance(error, AlchemyNetworkError)
        assert isinstance(error, AirflowFailException)
        assert "zora-mainnet" in str(error)
        assert "connection 'alchemy_default'" in str(error)

    def test_a_list_that_costs_more_than_the_task_may_spend_is_not_begun(
        self, mode: str, emulator: AlchemyEmulator
    ) -> None:
        set_fresh(emulator, tokens=1_000)

        error = failure(sensor_in(mode, max_compute_units=6_000))

        assert isinstance(error, AlchemySpendingLimitError)
        assert "a sample of its tokens and one poll cost 6,640" in str(error)
        assert "Raise max_compute_units to 6,640 at least" in str(error)
        assert emulator.count(LIST) == 0

    def test_exactly_what_it_costs_is_enough(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator, tokens=1_000)

        result = Life().lead(sensor_in(mode, max_compute_units=6_640))

        assert (result["compute_units"], result["counts"]["fresh"]) == (6_640, 100)

    def test_a_list_of_unknown_length_ends_where_the_units_do(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator, tokens=1_000, total_supply=None)

        error = failure(sensor_in(mode, max_compute_units=3_000))

        assert isinstance(error, AlchemySpendingLimitError)
        assert "the list of the collection's tokens goes on after 2,560 compute units" in str(error)
        assert emulator.compute_units <= 3_000

    def test_given_tokens_that_cost_too_much_are_not_asked_for(self, mode: str, emulator: AlchemyEmulator) -> None:
        sensor = sensor_in(mode, token_ids="{{ params.ids }}", max_compute_units=1_000)

        error = failure(set_rendered(sensor, token_ids=list(range(300))))

        assert isinstance(error, AlchemySpendingLimitError)
        assert (emulator.count(), "to ask for each of them once costs 1,440" in str(error)) == (0, True)

    def test_polls_end_where_the_units_do(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)

        error = failure(sensor_in(mode, token_ids=[1], max_compute_units=1_500))

        assert isinstance(error, AlchemySpendingLimitError)
        assert "0 of 1 tokens were newer than" in str(error)
        assert (len(looks_of(emulator)), emulator.compute_units) == (3, 1_440)
