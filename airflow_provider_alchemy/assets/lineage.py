# SPDX-License-Identifier: Apache-2.0
"""
Collections as OpenLineage names them: the namespace is ``alchemy://`` and the network, the name is the contract.

OpenLineage is no dependency: it is imported where its own integration asks, and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_alchemy.assets.uris import Collection, collection_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Asset


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Any:  # noqa: ARG001 - OpenLineage's own signature
    """
    Give a collection's asset as OpenLineage's dataset: what OpenLineage's integration calls for inlets and outlets.

    :param asset: The asset.
    :param lineage_context: What was used to read or write it; a collection needs none.
    :return: The dataset; None where OpenLineage is not installed, or the asset is no collection.
    """
    known = collection_of(asset.uri)
    return None if known is None else dataset_of(known)


def dataset_of(known: Collection) -> Any:
    """
    Give a collection as OpenLineage's dataset.

    :param known: The collection.
    :return: The dataset; None where OpenLineage is not installed.
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset  # noqa: PLC0415 - no dependency

    return Dataset(namespace=known.namespace, name=known.contract_address)
