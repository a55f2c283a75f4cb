# SPDX-License-Identifier: Apache-2.0
"""What may stand in the arguments of a task with a collection's tokens: literals are checked at parse time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_alchemy.api.errors import AlchemyArgumentError, AlchemyTokenIdError
from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.lives import ADDRESS
from tests.tasks.tokens import Tries, refresh


@pytest.mark.parametrize(
    ("token_ids", "words"),
    [
        ([1, -1], "token_ids[1] (number 2 of 2) is -1"),
        (["1", ""], "token_ids[1] (number 2 of 2) is empty"),
        (["1", "  "], "token_ids[1] (number 2 of 2) is empty"),
        (["one"], "token_ids[0] (number 1 of 1) is 'one'"),
        ([1.5], "token_ids[0] (number 1 of 1) is 1.5"),
        ([True], "token_ids[0] (number 1 of 1) is True"),
        ([None], "token_ids[0] (number 1 of 1) is None"),
        ([2**256], "token_ids[0]"),
        (["0xg"], "token_ids[0] (number 1 of 1) is '0xg'"),
        ([1, "x", "y", -5], "; 2 more of the ids cannot be right either"),
        ("1, 2, x", "token_ids[2] (number 3 of 3) is 'x'"),
    ],
    ids=str,
)
def test_an_id_that_cannot_be_right_is_named(token_ids: Any, words: str) -> None:
    with pytest.raises(AlchemyTokenIdError) as refused:
        refresh(token_ids=token_ids)

    assert words in str(refused.value)
    assert isinstance(refused.value, AirflowFailException)


@pytest.mark.parametrize("token_ids", ["", "  ", 5, {"a": 1}, b"1", "[1", "{}"], ids=repr)
def test_what_is_no_list_is_refused(token_ids: Any) -> None:
    with pytest.raises(AlchemyArgumentError, match="token_ids"):
        refresh(token_ids=token_ids)


@pytest.mark.parametrize(
    "arguments",
    [
        {"method": "fast"},
        {"method": "auto"},
        {"method": "QUEUE"},
        {"method": None},
        {"token_attempts": 0},
        {"token_attempts": None},
        {"token_attempts": 1.5},
        {"attempt_interval": 9.9},
        {"attempt_interval": timedelta(seconds=5)},
        {"attempt_interval": "10"},
        {"max_failed": -1},
        {"max_failed": 1.5},
        {"max_failed": True},
        {"max_compute_units": -1},
        {"max_compute_units": 0.5},
        {"contract_address": "0x12"},
        {"contract_address": ADDRESS.replace("E9", "e9")},
        {"network": "no slug!"},
        {"network": ""},
        {"alchemy_conn_id": ""},
    ],
    ids=str,
)
def test_any_other_argument_that_cannot_be_right_is_refused_for_good(arguments: dict[str, Any]) -> None:
    with pytest.raises(AlchemyArgumentError) as refused:
        refresh(**arguments)

    assert isinstance(refused.value, AirflowFailException)
    assert next(iter(arguments)).removesuffix("_address").removeprefix("alchemy_") in str(refused.value)


def test_the_defaults_are_those_of_the_documentation() -> None:
    task = RefreshCollectionOperator(task_id="refresh", contract_address=ADDRESS)

    assert (task.token_ids, task.method, task.network, task.alchemy_conn_id) == (None, "batch", None, "alchemy_default")
    assert (task.token_attempts, task.attempt_interval, task.max_failed) == (3, 10, 0)
    assert (task.max_compute_units, task.report_path, task.deferrable) == (None, None, False)
    assert refresh(attempt_interval=timedelta(minutes=1)).attempt_interval == 60


@pytest.mark.parametrize(
    ("token_ids", "kept"),
    [
        (None, None),
        ([], []),
        ([1, "0x2"], [1, "0x2"]),
        ((1, 2), (1, 2)),
        (range(3), [0, 1, 2]),
        ((number for number in range(3)), [0, 1, 2]),
        ("1 2", "1 2"),
        ("{{ params.tokens }}", "{{ params.tokens }}"),
        (["{{ params.token }}", 5], ["{{ params.token }}", 5]),
    ],
)
def test_what_is_right_is_kept_for_the_task(token_ids: Any, kept: Any) -> None:
    assert refresh(token_ids=token_ids).token_ids == kept


@pytest.mark.integration
@pytest.mark.parametrize("rendered", [None, "None", "", "null"], ids=repr)
def test_a_template_that_renders_to_nothing_does_not_stand_for_the_whole_collection(
    rendered: Any, emulator: AlchemyEmulator
) -> None:
    task = refresh(token_ids="{{ ti.xcom_pull('minted') }}")
    task.token_ids = rendered

    refused = Tries().failure(task)

    assert isinstance(refused, AlchemyArgumentError)
    assert isinstance(refused, AirflowFailException)
    assert (emulator.count(), "token_ids" in str(refused)) == (0, True)
