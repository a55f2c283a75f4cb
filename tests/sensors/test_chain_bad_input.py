# SPDX-License-Identifier: Apache-2.0
"""Arguments of the sensor of new tokens that cannot be right: named, refused early, and nothing is sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.sensors.minting import sensor_in
from tests.tasks.lives import MODES, failure

pytestmark = pytest.mark.integration

NO_MOMENT = [
    ("", "is empty, or its template rendered to nothing"),
    ("None", "is empty, or its template rendered to nothing"),
    ("2026-11-22T10:00:00", "which has no time zone"),
    (datetime(2026, 11, 22), "which has no time zone"),  # noqa: DTZ001 - the mistake
    ("yesterday", "'yesterday', which is no moment"),
    (1_790_000_000, "which is no moment"),
]
NO_BLOCK = [
    ("", "is empty, or its template rendered to nothing"),
    ("None", "is empty, or its template rendered to nothing"),
    (-1, "is -1; expected the number of a block"),
    ("-1", "is '-1'"),
    (1.5, "is 1.5"),
    (True, "is True"),
    ("latest", "is 'latest'"),
    ("0x", "is '0x'"),
    ("1_000", "is '1_000'"),
    ("\u0661", "expected the number of a block"),
    (10**30, "expected the number of a block"),
    ("9" * 10_000, "expected the number of a block"),
    ([5], "is [5]"),
]


class TestWhereTheDagIsParsed:
    @pytest.mark.parametrize(("value", "problem"), NO_MOMENT)
    def test_a_moment_that_is_none_is_refused_with_what_to_write(self, value: Any, problem: str) -> None:
        with pytest.raises(AlchemyArgumentError) as caught:
            sensor_in("poke", since=value)

        text = str(caught.value)
        assert ("argument 'since'" in text, problem in text, "Write a moment with its time zone" in text) == (
            True,
            True,
            True,
        ), text
        assert isinstance(caught.value, AirflowFailException)

    @pytest.mark.parametrize(("value", "problem"), NO_BLOCK)
    def test_a_block_that_is_none_is_refused_with_what_to_write(self, value: Any, problem: str) -> None:
        with pytest.raises(AlchemyArgumentError) as caught:
            sensor_in("poke", since_block=value)

        text = str(caught.value)
        assert ("argument 'since_block'" in text, problem in text, "'next_block'" in text) == (True, True, True), text
        assert isinstance(caught.value, AirflowFailException)

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ({"since_block": 5, "since": "2026-11-22T10:00:00Z"}, "both arguments 'since_block' and 'since' are given"),
            ({"since_block": "{{ params.a }}", "since": "{{ params.b }}"}, "both arguments"),
            ({"min_tokens": 0}, "argument 'min_tokens' is 0; expected a whole number of tokens from 1"),
            ({"min_tokens": 1.0}, "argument 'min_tokens' is 1.0"),
            ({"min_tokens": True}, "argument 'min_tokens' is True"),
            ({"confirmations": -1}, "argument 'confirmations' is -1"),
            ({"confirmations": "12"}, "argument 'confirmations' is '12'"),
            ({"max_compute_units": 69}, "to read the chain once costs 70 at least"),
            ({"max_consecutive_failures": -1}, "argument 'max_consecutive_failures' is -1"),
            ({"contract_address": "0x12"}, "which is no contract address"),
            ({"network": "Main Net"}, "argument 'network'"),
            ({"alchemy_conn_id": ""}, "argument 'alchemy_conn_id' is empty"),
        ],
    )
    def test_what_cannot_be_right_is_named(self, arguments: dict[str, Any], problem: str) -> None:
        with pytest.raises(AlchemyArgumentError) as caught:
            sensor_in("poke", **arguments)

        assert problem in str(caught.value)
        assert isinstance(caught.value, AirflowFailException)

    def test_templates_are_checked_only_when_they_are_rendered(self) -> None:
        template = "{{ ti.xcom_pull('a') }}"

        assert sensor_in("poke", since_block=template, contract_address=template).since_block == template
        assert sensor_in("poke", since=template).since == template

    def test_silent_fail_means_any_number_of_failures(self) -> None:
        assert sensor_in("poke", silent_fail=True).max_consecutive_failures is None


@pytest.mark.parametrize("mode", MODES)
class TestWhereTheTaskRuns:
    @pytest.mark.parametrize(("argument", "value"), [("since", "None"), ("since", None), ("since_block", None)])
    def test_a_template_that_rendered_to_nothing_sends_nothing(
        self, mode: str, argument: str, value: Any, emulator: AlchemyEmulator
    ) -> None:
        sensor = sensor_in(mode, **{argument: "{{ params.begin }}"})
        setattr(sensor, argument, value)

        error = failure(sensor)

        assert f"argument {argument!r}" in str(error)
        assert (isinstance(error, AirflowFailException), emulator.count()) == (True, 0)
