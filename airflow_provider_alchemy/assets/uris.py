# SPDX-License-Identifier: Apache-2.0
"""
The one rule for the URI of a collection: ``alchemy://``, the network, ``/``, the contract address, all in lower case.

Airflow keeps assets by their URIs, letter by letter: whatever people write for one collection must become one URI. In
OpenLineage the namespace is the URI up to the network, and the name is the contract; it is no dependency, and imported
where its own integration asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from airflow_provider_alchemy.api.errors import AlchemyArgumentError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Asset

SCHEME = "alchemy"

_EXPECTED = f"{SCHEME}://eth-mainnet/0xe9fca552b9eb110c2d170962af740725f71f5644"
_ADVICE = f"Write the network and the contract address, such as {_EXPECTED}, or let assets.collection() write it"


class Collection(NamedTuple):
    """
    Which collection is meant.

    :param network: The network's slug.
    :param contract_address: The collection's contract, in lower case.
    """

    network: str
    contract_address: str

    @property
    def namespace(self) -> str:
        """What the lineage of data keeps collections in: ``alchemy://`` and the network."""
        return f"{SCHEME}://{self.network}"

    @property
    def uri(self) -> str:
        """The collection's URI."""
        return f"{self.namespace}/{self.contract_address}"


def checked(contract_address: str, network: str) -> Collection:
    """Check which collection is meant; mixed case must pass EIP-55."""
    # What checks EIP-55 takes a quarter of a second to load, and every DAG with any asset at all loads this module.
    from airflow_provider_alchemy.api.inputs import read_contract_address, read_network  # noqa: PLC0415

    return Collection(read_network(network), read_contract_address(contract_address))


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Check a collection's URI and give its only right form: what Airflow calls where a DAG is parsed.

    :param uri: The URI in parts. Airflow has taken a fragment and trailing slashes away.
    :return: The same in lower case.
    :raises AlchemyArgumentError: It is no collection's URI. It is a ``ValueError`` as well, which Airflow 2.11 makes a
        warning of unless ``[core] strict_dataset_uri_validation`` is set.
    """
    if "@" in uri.netloc:
        # Not shown: in the URI of a connection, which has the same scheme, this is the API key.
        msg = "the asset's URI names a user or a key, and belongs to a collection, not to an account"
        raise AlchemyArgumentError(msg, advice=_ADVICE)
    shown = f"the asset's URI '{SCHEME}://{uri.netloc[:100]}{uri.path[:100]}'"
    if uri.query or uri.fragment:
        msg = f"{shown} has a part after '{'?' if uri.query else '#'}', which no collection has"
        raise AlchemyArgumentError(msg, advice=_ADVICE)
    if ":" in uri.netloc:
        msg = f"{shown} names a port, and its first part is no host but a network"
        raise AlchemyArgumentError(msg, advice=_ADVICE)
    root, _, contract_address = uri.path.partition("/")
    has_blanks = any(character.isspace() for character in uri.netloc + uri.path)
    if root or not uri.netloc or not contract_address or "/" in contract_address or has_blanks:
        msg = f"{shown} is not one network and one contract address"
        raise AlchemyArgumentError(msg, advice=_ADVICE)
    try:
        network, contract_address = checked(contract_address, uri.netloc.lower())
    except AlchemyArgumentError as error:
        msg = f"{shown} is no collection's: {error.what}"
        raise type(error)(msg, advice=". ".join(filter(None, (error.advice, _ADVICE)))) from None
    return SplitResult(SCHEME, network, f"/{contract_address}", "", "")


def collection_of(uri: str) -> Collection | None:
    """Read a collection's URI; None for the URI of anything else."""
    try:
        parts = urlsplit(uri)
        if parts.scheme != SCHEME:
            return None
        _, network, path, _, _ = sanitize_uri(parts)
    except ValueError:
        return None
    return Collection(network, path.removeprefix("/"))


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Any:  # noqa: ARG001 - OpenLineage's own signature
    """Give a collection's asset as OpenLineage's dataset: what OpenLineage calls for inlets and outlets."""
    known = collection_of(asset.uri)
    return None if known is None else dataset_of(known)


def dataset_of(known: Collection) -> Any:
    """Give a collection as OpenLineage's dataset; None where OpenLineage is not installed."""
    from airflow.providers.common.compat.openlineage.facet import Dataset  # noqa: PLC0415 - no dependency

    return Dataset(namespace=known.namespace, name=known.contract_address)
