# SPDX-License-Identifier: Apache-2.0
"""
Links are built from what the task knows, never from a connection.

Airflow 3 asks the task itself for them, in its worker; Airflow 2 asks in the web server, where its XCom says it.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_alchemy.connection_form import KNOWN_NETWORKS
from airflow_provider_alchemy.links.collection import EXPLORERS, ContractLink, DashboardLink

ADDRESS = "0xe9fca552b9eb110c2d170962af740725f71f5644"
OTHER = "0xbc4ca0eda7647a8ab7c2061c2e118a18a936f13d"


def link(
    monkeypatch: pytest.MonkeyPatch, pushed: Any, address: Any = "{{ params.a }}", network: str | None = None
) -> str:
    monkeypatch.setattr("airflow_provider_alchemy.links.collection.XCom.get_value", lambda **_: pushed)
    task: Any = SimpleNamespace(contract_address=address, network=network)
    if AIRFLOW_V_3_0_PLUS and pushed:
        task.contract_address, task.known_network = pushed["contract_address"], pushed["network"]
    return ContractLink().get_link(task, ti_key=None)


def test_the_link_leads_to_the_contract_on_the_network_that_the_task_worked_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pushed = {"contract_address": ADDRESS, "network": "base-mainnet"}

    assert link(monkeypatch, pushed, address=OTHER) == f"https://basescan.org/address/{ADDRESS}"


def test_the_link_of_a_failed_task_leads_to_its_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    assert link(monkeypatch, None, address=OTHER) == f"https://etherscan.io/address/{OTHER}"


def test_the_link_of_a_failed_task_follows_its_network(monkeypatch: pytest.MonkeyPatch) -> None:
    assert link(monkeypatch, None, OTHER, "polygon-mainnet") == f"https://polygonscan.com/address/{OTHER}"


@pytest.mark.parametrize("address", ["{{ params.contract }}", "", None, "javascript:alert(1)"])
def test_there_is_no_link_to_what_is_no_address(monkeypatch: pytest.MonkeyPatch, address: Any) -> None:
    assert link(monkeypatch, None, address=address) == ""


def test_there_is_no_link_on_a_network_without_a_known_explorer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert link(monkeypatch, {"contract_address": ADDRESS, "network": "my-rollup"}) == ""


def test_each_known_network_has_an_explorer() -> None:
    assert set(EXPLORERS) == set(KNOWN_NETWORKS)


def test_the_dashboard_link_is_the_same_for_each_task() -> None:
    task: Any = SimpleNamespace()

    assert DashboardLink().get_link(task, ti_key=None) == "https://dashboard.alchemy.com/"
