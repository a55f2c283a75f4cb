# SPDX-License-Identifier: Apache-2.0
"""Literal arguments that cannot be right: an error where the DAG is parsed, which names the argument."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_alchemy.api.errors import AlchemyAddressError, AlchemyArgumentError
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from tests.tasks.lives import ADDRESS

KINDS: list[Any] = [ReingestContractOperator, ReingestSensor]
NAN, INFINITY = float("nan"), float("inf")

pytestmark = pytest.mark.parametrize("kind", KINDS)


def build(kind: Any, **arguments: Any) -> Any:
    return kind(**{"task_id": "task", "contract_address": ADDRESS, **arguments})


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("0x123", "is no contract address"),
        ("E9FCa552b9eb110c2d170962aF740725F71F5644", "is no contract address"),
        (ADDRESS + "0", "is no contract address"),
        ("boredapeyachtclub.eth", "is no contract address"),
        (ADDRESS[:-1] + "g", "is no contract address"),
        (ADDRESS.replace("Ca", "cA"), "EIP-55 checksum"),
        (None, "is None and no text"),
        (0xE9FCA552, "and no text"),
        ([ADDRESS], "and no text"),
    ],
)
def test_an_address_that_is_none_is_refused(kind: Any, address: Any, problem: str) -> None:
    with pytest.raises(AlchemyAddressError) as caught:
        build(kind, contract_address=address)

    assert "argument 'contract_address'" in str(caught.value)
    assert problem in str(caught.value)


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS.lower(), "0x" + ADDRESS[2:].upper(), f" {ADDRESS} "])
def test_an_address_in_any_of_its_forms_is_accepted(kind: Any, address: str) -> None:
    assert build(kind, contract_address=address).contract_address == address


@pytest.mark.parametrize("template", ["{{ params.address }}", "{% if x %}0x{% endif %}", "{{ ti.xcom_pull('a') }}"])
def test_a_template_is_checked_only_when_it_is_rendered(kind: Any, template: str) -> None:
    task = build(kind, contract_address=template, network=template, alchemy_conn_id=template)

    assert task.contract_address == template


@pytest.mark.parametrize("network", ["", "Ethereum", "eth_mainnet", "eth-mainnet.g.alchemy.com", "-eth", 1, "a/b"])
def test_a_network_that_is_no_slug_is_refused(kind: Any, network: Any) -> None:
    with pytest.raises(AlchemyArgumentError, match=r"argument 'network' is .*; expected a network's slug"):
        build(kind, network=network)


@pytest.mark.parametrize("conn_id", ["", " ", None, 7])
def test_a_connection_id_that_is_none_is_refused(kind: Any, conn_id: Any) -> None:
    with pytest.raises(AlchemyArgumentError, match=r"argument 'alchemy_conn_id' is .*; expected the id"):
        build(kind, alchemy_conn_id=conn_id)


@pytest.mark.parametrize("count", [-1, 1.5, "3", True, NAN])
def test_a_number_of_failures_that_is_none_is_refused(kind: Any, count: Any) -> None:
    with pytest.raises(AlchemyArgumentError, match=r"argument 'max_consecutive_failures' is .*; expected a whole"):
        build(kind, max_consecutive_failures=count)


@pytest.mark.parametrize("seconds", [-1, -0.001, NAN, timedelta(seconds=-1), "60"])
@pytest.mark.parametrize("argument", ["interval", "timeout"])
def test_a_duration_that_is_none_is_refused_by_name(kind: Any, argument: str, seconds: Any) -> None:
    if argument == "interval":
        argument = "poke_interval" if kind is ReingestSensor else "poll_interval"

    with pytest.raises((ValueError, AirflowException), match=argument):
        build(kind, **{argument: seconds})


@pytest.mark.parametrize("seconds", [0, 0.5, 60, timedelta(minutes=1)])
def test_a_duration_is_seconds_or_a_timedelta(kind: Any, seconds: Any) -> None:
    argument = "poke_interval" if kind is ReingestSensor else "poll_interval"

    task = build(kind, **{argument: seconds, "timeout": seconds})

    expected = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    assert (getattr(task, argument), task.timeout) == (expected, expected)


def test_what_is_wrong_with_an_argument_is_final(kind: Any) -> None:
    with pytest.raises(AirflowFailException):
        build(kind, contract_address="0x123")


def test_an_infinite_timeout_is_refused(kind: Any) -> None:
    with pytest.raises((ValueError, OverflowError, AirflowFailException)):
        build(kind, timeout=INFINITY)
