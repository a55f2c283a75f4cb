# SPDX-License-Identifier: Apache-2.0
"""
Links from a task to its collection's contract, and to the Alchemy dashboard.

They are built from what the task was given or pushed: no connection is read, so no key can get into one. Airflow 3 asks
for them in the worker, where the task itself knows its collection, and reading an XCom would be a call to the API
server; Airflow 2 asks in the web server, where the XCom is all there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.api.inputs import read_contract_address
from airflow_provider_alchemy.defaults import DEFAULT_NETWORK

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

DASHBOARD = "https://dashboard.alchemy.com/"

EXPLORERS = {
    "eth-mainnet": "https://etherscan.io",
    "eth-sepolia": "https://sepolia.etherscan.io",
    "polygon-mainnet": "https://polygonscan.com",
    "polygon-amoy": "https://amoy.polygonscan.com",
    "arb-mainnet": "https://arbiscan.io",
    "opt-mainnet": "https://optimistic.etherscan.io",
    "base-mainnet": "https://basescan.org",
    "base-sepolia": "https://sepolia.basescan.org",
    "bnb-mainnet": "https://bscscan.com",
    "avax-mainnet": "https://snowtrace.io",
    "zksync-mainnet": "https://explorer.zksync.io",
    "linea-mainnet": "https://lineascan.build",
    "scroll-mainnet": "https://scrollscan.com",
    "blast-mainnet": "https://blastscan.io",
    "zora-mainnet": "https://explorer.zora.energy",
    "apechain-mainnet": "https://apescan.io",
    "ronin-mainnet": "https://app.roninchain.com",
    "shape-mainnet": "https://shapescan.xyz",
    "abstract-mainnet": "https://abscan.org",
    "unichain-mainnet": "https://uniscan.xyz",
    "worldchain-mainnet": "https://worldscan.org",
}
"""The block explorer of each network that has a well-known one."""


class ContractLink(BaseOperatorLink):
    """The collection's contract in its network's block explorer."""

    name = "Contract in the block explorer"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Build the link; empty where the contract or the network's explorer is not known."""
        result = None if AIRFLOW_V_3_0_PLUS else XCom.get_value(ti_key=ti_key, key="return_value")
        pushed = result if isinstance(result, dict) else {}
        # A task that failed pushed nothing: its arguments say as much, unless they are still templates.
        address = pushed.get("contract_address") or getattr(operator, "contract_address", None)
        networks = (pushed.get("network"), getattr(operator, "known_network", None), getattr(operator, "network", None))
        return contract_url(address, next(filter(None, networks), None))


class DashboardLink(BaseOperatorLink):
    """The Alchemy dashboard, where the account's apps and units are."""

    name = "Alchemy dashboard"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002 - the same for each task
        return DASHBOARD


def contract_url(contract_address: Any, network: str | None) -> str:
    """Give the page of a contract in a block explorer; empty where one of them is not known."""
    try:
        checked = read_contract_address(contract_address)
    except AlchemyArgumentError:
        return ""
    explorer = EXPLORERS.get(network or DEFAULT_NETWORK)
    return f"{explorer}/address/{checked}" if explorer else ""


def link_xcoms(result: dict[str, Any]) -> dict[str, str]:
    """Give the XComs in which Airflow keeps a task's links, for a task that ends without a worker."""
    contract = contract_url(result.get("contract_address"), result.get("network"))
    return {ContractLink().xcom_key: contract, DashboardLink().xcom_key: DASHBOARD}
