# SPDX-License-Identifier: Apache-2.0
"""Whatever people write for one collection becomes one URI, and what is no collection's URI is refused with advice."""

from __future__ import annotations

import string
from urllib.parse import urlsplit

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.assets.uris import Collection, collection_of, sanitize_uri
from tests.tasks.lives import ADDRESS, LOWER

URI = f"alchemy://eth-mainnet/{LOWER}"

networks = st.from_regex(r"[a-z0-9]{1,12}(-[a-z0-9]{1,12}){0,2}", fullmatch=True)
addresses = st.text(string.hexdigits.lower(), min_size=40, max_size=40).map("0x{}".format)


def sanitized(uri: str) -> str:
    return sanitize_uri(urlsplit(uri)).geturl()


def refusal(uri: str) -> str:
    with pytest.raises(AlchemyArgumentError) as caught:
        sanitized(uri)
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


class TestSanitizing:
    @pytest.mark.parametrize(
        "uri",
        [
            URI,
            f"alchemy://eth-mainnet/{ADDRESS}",
            f"alchemy://ETH-Mainnet/{LOWER}",
            f"ALCHEMY://eth-mainnet/{ADDRESS}",
            f"alchemy://eth-mainnet/0x{ADDRESS[2:].upper()}",
        ],
    )
    def test_all_ways_to_write_a_collection_become_one(self, uri: str) -> None:
        assert sanitized(uri) == URI

    @given(networks, addresses)
    def test_the_checksum_of_an_address_makes_no_difference(self, network: str, address: str) -> None:
        uri = f"alchemy://{network}/{address}"

        assert sanitized(f"alchemy://{network.upper()}/{to_checksum_address(address)}") == uri
        assert sanitized(uri) == uri

    @given(st.text(max_size=80))
    def test_what_it_lets_through_is_read_as_a_collection_and_stays_as_it_is(self, rest: str) -> None:
        try:
            uri = sanitized(f"alchemy://{rest}")
        except ValueError:
            return
        known = collection_of(uri)
        assert known is not None
        assert known.uri == sanitized(uri) == uri


class TestRefusals:
    @pytest.mark.parametrize(
        ("uri", "reason"),
        [
            ("alchemy://eth-mainnet/0x12", "'0x12', which is no contract address"),
            (f"alchemy://eth-mainnet/{ADDRESS.replace('E9FC', 'e9FC')}", "do not match its EIP-55 checksum"),
            (f"alchemy:///{LOWER}", "is not one network and one contract address"),
            (f"alchemy://{LOWER}", "is not one network and one contract address"),
            (f"alchemy:{LOWER}", "is not one network and one contract address"),
            (f"{URI}/17", "is not one network and one contract address"),
            (f"{URI} ", "is not one network and one contract address"),
            (f"alchemy://eth_mainnet/{LOWER}", "argument 'network' is 'eth_mainnet'"),
            (f"alchemy://eth-mainnet:443/{LOWER}", "names a port"),
            (f"{URI}?token=17", "has a part after '?'"),
            (f"{URI}#17", "has a part after '#'"),
            (f"alchemy://me@eth-mainnet/{LOWER}", "names a user or a key"),
        ],
    )
    def test_it_says_what_is_wrong_and_what_to_write(self, uri: str, reason: str) -> None:
        told = refusal(uri)

        assert reason in told
        assert f"Write the network and the contract address, such as {URI}, or let assets.collection() write it" in told

    def test_a_key_is_not_shown(self) -> None:
        assert "s3cret" not in refusal("alchemy://:s3cret@/?network=eth-mainnet")


class TestReading:
    def test_a_collections_uri_gives_network_and_address(self) -> None:
        assert collection_of(f"alchemy://base-mainnet/{ADDRESS}") == ("base-mainnet", LOWER)

    @pytest.mark.parametrize(
        "uri",
        ["", "punks", f"s3://eth-mainnet/{LOWER}", "alchemy://eth-mainnet/0x12", f"{URI}/1", "alchemy://["],
    )
    def test_anything_else_gives_nothing(self, uri: str) -> None:
        assert collection_of(uri) is None

    @given(networks, addresses)
    def test_what_is_written_is_read_again(self, network: str, address: str) -> None:
        known = Collection(network, address)

        assert collection_of(known.uri) == known
