# SPDX-License-Identifier: Apache-2.0
"""Arguments of the operator for many contracts: what is refused where the DAG is parsed, and what when it runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_alchemy.api.errors import AlchemyAddressError, AlchemyArgumentError
from airflow_provider_alchemy.links.collection import DashboardLink
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator, ReingestContractsOperator
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.batches import BatchLife, contracts
from tests.tasks.dag_runs import new_dag
from tests.tasks.lives import ADDRESS

NAN = float("nan")


def build(addresses: Any = ADDRESS, **arguments: Any) -> ReingestContractsOperator:
    return ReingestContractsOperator(**{"task_id": "refresh", "contract_addresses": addresses, **arguments})


@pytest.mark.parametrize(
    ("addresses", "problem"),
    [
        (None, "argument 'contract_addresses' is None and no list"),
        ([], "the list is empty"),
        ("", "argument 'contract_addresses' is empty"),
        ("[", "begins like a list but is none"),
        (["0x123"], r"contract_addresses\[0\] \(number 1 of 1\) is '0x123', which is no contract address"),
        ([ADDRESS, "{{ x }}", "0x1"], r"contract_addresses\[2\] \(number 3 of 3\)"),
        ([ADDRESS.replace("Ca", "cA")], "EIP-55"),
        (contracts(10_001), "10,001 different contracts"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_list_that_cannot_be_right_is_refused_where_the_dag_is_parsed(addresses: Any, problem: str) -> None:
    with pytest.raises(AlchemyArgumentError, match=problem) as caught:
        build(addresses)

    assert isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize(
    "addresses",
    [
        "{{ params.addresses }}",
        "{% if x %}0x{% endif %}",
        "{{ ti.xcom_pull('a') }}",
        ["{{ params.a }}", "{{ params.b }}"],
    ],
    ids=str,
)
def test_a_template_is_checked_only_when_it_is_rendered(addresses: Any) -> None:
    assert build(addresses, network="{{ x }}", alchemy_conn_id="{{ x }}").contract_addresses == addresses


def test_the_output_of_another_task_is_checked_only_when_it_is_known() -> None:
    with new_dag():
        first: Any = ReingestContractOperator(task_id="first", contract_address=ADDRESS)
        tasks = [
            build(first.output["finished"], task_id="whole"),
            build([first.output["contract_address"], ADDRESS], task_id="among_others"),
        ]

    assert [task.upstream_task_ids for task in tasks] == [{"first"}, {"first"}]


@pytest.mark.parametrize("max_failed", [0, 5, 0.0, 0.05, 1.0])
def test_max_failed_is_a_number_or_a_share(max_failed: float) -> None:
    assert build(max_failed=max_failed).max_failed == max_failed


@pytest.mark.parametrize("max_failed", [-1, -0.1, 1.5, 2.0, NAN, float("inf"), True, False, None, "3", [1]], ids=str)
def test_a_max_failed_that_is_neither_is_refused_by_name(max_failed: Any) -> None:
    with pytest.raises(AlchemyArgumentError, match=r"argument 'max_failed' is .*; expected a whole number") as caught:
        build(max_failed=max_failed)

    assert isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"network": "Main Net"}, "argument 'network'"),
        ({"alchemy_conn_id": ""}, "argument 'alchemy_conn_id'"),
        ({"poll_interval": -1}, "argument 'poll_interval'"),
        ({"poll_interval": None}, "argument 'poll_interval'"),
        ({"timeout": "1 day"}, "argument 'timeout'"),
        ({"max_poll_interval": 30}, "argument 'max_poll_interval' is 30 s, shorter than 'poll_interval'"),
        ({"max_resubmits": -1}, "argument 'max_resubmits'"),
        ({"max_consecutive_failures": 1.5}, "argument 'max_consecutive_failures'"),
        (
            {"max_compute_units": 479},
            "argument 'max_compute_units' is 479; one call of reingestContract costs 480 at least",
        ),
    ],
    ids=str,
)
def test_other_arguments_are_checked_as_the_operator_for_one_contract_does(
    arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(AlchemyArgumentError, match=named) as caught:
        build(**arguments)

    assert isinstance(caught.value, AirflowFailException)


def test_a_spending_limit_must_pay_for_one_call_of_each_contract() -> None:
    with pytest.raises(AlchemyArgumentError, match="one call for each of 10 contracts costs 4,800 at least"):
        build([*contracts(10), *contracts(3)], max_compute_units=4799)


def test_durations_may_be_timedeltas() -> None:
    task = build(poll_interval=timedelta(minutes=2), timeout=timedelta(hours=1), max_poll_interval=timedelta(minutes=5))

    assert (task.poll_interval, task.timeout, task.max_poll_interval) == (120, 3600, 300)


def test_its_defaults_are_those_of_the_documentation() -> None:
    task = build()

    assert (task.poll_interval, task.max_poll_interval, task.timeout, task.adaptive) == (60, 600, 86400, True)
    assert (task.max_failed, task.max_resubmits, task.max_consecutive_failures) == (0, 3, 10)
    assert (task.max_compute_units, task.multiple_outputs, task.alchemy_conn_id) == (None, False, "alchemy_default")


def test_its_link_is_the_dashboard() -> None:
    assert [type(link) for link in build().operator_extra_links] == [DashboardLink]


@pytest.mark.integration
class TestWhatShowsOnlyWhenTheTaskRuns:
    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            ({"contract_addresses": ""}, "argument 'contract_addresses' is empty, or its template rendered to nothing"),
            ({"contract_addresses": "None"}, "contract_addresses[0] (number 1 of 1) is 'None'"),
            ({"contract_addresses": None}, "argument 'contract_addresses' is None and no list"),
            ({"contract_addresses": "[]"}, "the list is empty"),
            ({"contract_addresses": [ADDRESS, None]}, "contract_addresses[1] (number 2 of 2) is None and no text"),
            ({"contract_addresses": contracts(10_001)}, "10,001 different contracts"),
            (
                {"contract_addresses": contracts(3), "max_compute_units": 1000},
                "one call for each of 3 contracts costs 1,440",
            ),
            ({"network": ""}, "argument 'network' is empty"),
            ({"alchemy_conn_id": None}, "argument 'alchemy_conn_id' is None"),
        ],
        ids=lambda value: str(value)[:50],
    )
    def test_it_is_named_nothing_is_sent_and_no_retry_is_used_up(
        self, arguments: dict[str, Any], named: str, emulator: AlchemyEmulator
    ) -> None:
        task = build()
        for name, value in arguments.items():
            setattr(task, name, value)

        error = BatchLife(task).failure()

        assert isinstance(error, AirflowFailException)
        assert (named in str(error), emulator.count()) == (True, 0), str(error)

    def test_one_bad_address_among_many_sends_nothing(self, emulator: AlchemyEmulator) -> None:
        task = build("{{ later }}")
        task.contract_addresses = [*contracts(17), "0x123", *contracts(982)]

        error = BatchLife(task).failure()

        assert isinstance(error, AlchemyAddressError)
        assert "contract_addresses[17] (number 18 of 1,000) is '0x123', which is no contract address" in str(error)
        assert emulator.count() == 0

    @pytest.mark.usefixtures("airflow_database")
    def test_an_unknown_connection_is_named_before_anything_is_deferred(self) -> None:
        error = BatchLife(build(alchemy_conn_id="nowhere")).failure()

        assert isinstance(error, AirflowFailException)
        assert "connection 'nowhere' does not exist" in str(error)
