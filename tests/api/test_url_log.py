# SPDX-License-Identifier: Apache-2.0
"""The library under requests logs each request's path: the key is taken out of it for as long as a client is open."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_alchemy.api.client import AlchemyClient
from airflow_provider_alchemy.api.redaction import URL_LOG, KeyFilter
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.testing import AlchemyEmulator

from .shells import ADDRESS


def record(text: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord(URL_LOG.name, logging.DEBUG, __file__, 1, text, values, None)


@pytest.mark.parametrize("shown", ["a/b+c=d-key", "a%2Fb%2Bc%3Dd-key", "a%2fb%2bc%3dd-key"])
def test_the_key_is_taken_out_of_a_record(shown: str) -> None:
    told = record('%s "GET %s HTTP/1.1" %s', "https://alchemy.example", f"/nft/v2/{shown}/reingestContract", 200)
    assert KeyFilter("a/b+c=d-key").filter(told)
    assert told.getMessage() == 'https://alchemy.example "GET /nft/v2/***/reingestContract HTTP/1.1" 200'


def test_a_record_without_the_key_is_left_as_it_is() -> None:
    told = record("%s of %d", "a record", 1)
    assert KeyFilter("a/b+c=d-key").filter(told)
    assert (told.msg, told.args) == ("%s of %d", ("a record", 1))


@pytest.mark.integration
def test_two_clients_each_keep_their_own_key_out_of_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, URL_LOG.name)
    keys = ["first-key-of-two", "second-key-of-two"]
    with AlchemyEmulator(api_keys=keys) as emulator:
        first, second = (AlchemyClient(ClientSettings(api_key=key, host=emulator.url)) for key in keys)
        with first, second:
            second.get_contract_metadata(ADDRESS)
            first.get_contract_metadata(ADDRESS)
    told = [one.getMessage() for one in caplog.records if one.name == URL_LOG.name]
    assert [key for key in keys if key in "".join(told)] == []
    assert "".join(told).count("/nft/v3/***/getContractMetadata") == 2


def test_a_client_that_is_closed_leaves_no_filter() -> None:
    before = list(URL_LOG.filters)
    with AlchemyClient(ClientSettings(api_key="a-key-for-a-while")):
        assert len(URL_LOG.filters) == len(before) + 1
    assert URL_LOG.filters == before
