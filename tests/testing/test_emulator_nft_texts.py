# SPDX-License-Identifier: Apache-2.0
"""The JSON of NFTs."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from airflow_provider_alchemy.testing.nft_texts import contract_fields, in_milliseconds, nft_text
from airflow_provider_alchemy.testing.token_collections import Collection, TokenView
from airflow_provider_alchemy.testing.token_plans import CollectionPlan

ADDRESS = "0xe9fca552b9eb110c2d170962af740725f71f5644"
START = 1_767_225_600.0


def nft(token_id: int, error: str | None = None, updated_at: float = START, **plan: Any) -> dict[str, Any]:
    text = nft_text(ADDRESS, Collection(CollectionPlan.from_fields(plan)), token_id, TokenView(error, updated_at))
    return dict(json.loads(text))


def test_an_nft_has_every_documented_field() -> None:
    one = nft(7)
    assert set(one) >= {
        *("contract", "tokenId", "tokenType", "name", "description", "tokenUri", "image", "raw", "collection", "mint"),
        "timeLastUpdated",
    }
    assert set(one["image"]) == {"cachedUrl", "thumbnailUrl", "pngUrl", "contentType", "size", "originalUrl"}
    assert set(one["raw"]) == {"tokenUri", "metadata", "error"}
    assert (one["tokenId"], one["tokenType"], one["name"], one["raw"]["error"]) == ("7", "ERC721", "Emulated #7", None)
    assert (one["contract"]["address"], one["contract"]["spamClassifications"]) == (ADDRESS, [])
    assert one["timeLastUpdated"] == "2026-01-01T00:00:00.000Z"


def test_an_nft_with_an_error_has_the_same_fields_and_no_metadata() -> None:
    failed = nft(7, 'Gave "100%" up')
    assert failed.keys() == nft(7).keys()
    assert failed["raw"] == {"tokenUri": None, "metadata": {}, "error": 'Gave "100%" up'}


def test_an_id_beyond_every_number_of_a_client_is_a_decimal_text() -> None:
    assert nft(2**256 - 1, first_id=2**255)["tokenId"] == str(2**256 - 1)


def test_a_supply_with_any_text_leaves_the_json_whole() -> None:
    assert nft(1, total_supply='1%s "2"')["contract"]["totalSupply"] == '1%s "2"'


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (START + 0.123, "2026-01-01T00:00:00.123Z"),
        (START + 0.1231, "2026-01-01T00:00:00.124Z"),
        (START + 0.9999, "2026-01-01T00:00:01.000Z"),
        (START + 59.0, "2026-01-01T00:00:59.000Z"),
    ],
)
def test_a_time_is_rounded_up_to_milliseconds(moment: float, text: str) -> None:
    assert nft(1, updated_at=moment)["timeLastUpdated"] == text
    assert datetime.fromisoformat(text).timestamp() == in_milliseconds(moment) / 1000


def test_a_contract_that_is_no_nft_says_so() -> None:
    fields = contract_fields(ADDRESS, Collection(CollectionPlan.from_fields({"token_type": "NOT_A_CONTRACT"})))
    assert (fields["tokenType"], fields["totalSupply"], fields["name"]) == ("NOT_A_CONTRACT", None, None)
    assert fields["openSeaMetadata"].keys() == nft(1)["contract"]["openSeaMetadata"].keys()
