# SPDX-License-Identifier: Apache-2.0
"""
Collections as Airflow assets (datasets on Airflow 2.11), named ``alchemy://eth-mainnet/0xe9fc…``.

Airflow loads this package in every process that meets an asset's URI, whatever its scheme: so it imports next to
nothing until it is asked about a collection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.assets.uris import checked

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Asset


def collection(
    contract_address: str,
    network: str = "eth-mainnet",
    *,
    name: str | None = None,
    group: str | None = None,
    extra: dict[str, Any] | None = None,
    watchers: Iterable[Any] = (),
) -> Asset:
    """
    Give a collection as an asset: for ``outlets`` and ``inlets`` of a task, and for ``schedule`` of a DAG.

    :param contract_address: The collection's contract, 0x and 40 hexadecimal digits; mixed case must pass EIP-55. Not
        templated: Airflow wants to know assets where it parses the DAG.
    :param network: The network's slug. Default ``eth-mainnet``, where most collections are; the connection's is not
        known where a DAG is parsed.
    :param name: The asset's name. Airflow takes two names of one URI for a conflict, so it must be the same wherever
        the collection is used. Default: the URI. Airflow 3.
    :param group: The asset's group. Default: Airflow's own. Airflow 3.
    :param extra: What Airflow keeps beside the asset. Default: nothing.
    :param watchers: ``AssetWatcher`` of what wakes up DAGs that are scheduled on the asset. Default: none, so that only
        tasks with the asset as an outlet do. Airflow 3.
    :return: The asset; on Airflow 2.11 the dataset.
    :raises AlchemyArgumentError: The address or the network cannot be right, or this Airflow has no such argument. It
        is a ``ValueError`` as well.
    """
    # Only now: code that merely asks for the rule of the URI does so while Airflow is still loading its own assets.
    from airflow.providers.common.compat.sdk import Asset  # noqa: PLC0415
    from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS  # noqa: PLC0415

    uri = checked(contract_address, network).uri
    given = {"name": name, "group": group, "watchers": list(watchers) or None}
    further: dict[str, Any] = {argument: value for argument, value in given.items() if value is not None}
    if further and not AIRFLOW_V_3_0_PLUS:
        msg = f"argument {next(iter(further))!r} needs Airflow 3: datasets of Airflow 2 have a URI and an extra only"
        raise AlchemyArgumentError(msg, subject=f"Asset {uri}", advice="Leave it out, or run Airflow 3")
    return Asset(uri=uri, extra=extra, **further)
