# SPDX-License-Identifier: Apache-2.0
"""The rules of freshness: moments, samples, counts, verdicts, and what travels between processes. No I/O."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any

import pendulum
import pytest
from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.fresh_looks import choose_sample, look
from airflow_provider_alchemy.api.fresh_waiting import FreshWait
from airflow_provider_alchemy.api.freshness import FreshRecord, needed_of
from hypothesis import given
from hypothesis import strategies as st
from pendulum import UTC

from airflow_provider_alchemy.api.endpoints import Call
from airflow_provider_alchemy.api.errors import (
    AlchemyHostNotFoundError,
    AlchemyNoSuchCollectionError,
    AlchemyServerError,
    AlchemySpendingLimitError,
    AlchemyTokensFailedError,
)
from airflow_provider_alchemy.api.inputs import read_fresh_since
from airflow_provider_alchemy.api.models import MetadataError, Token, TokenMetadata
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import Usage

CONTRACT = "0xe9fca552b9eb110c2d170962af740725f71f5644"
SINCE = pendulum.datetime(2026, 11, 22, 10)
IDS = st.lists(st.integers(0, 2**256 - 1), unique=True, max_size=300)
SIZES = st.integers(1, 120)
SEEDS = st.integers()
ANSWERS = st.sampled_from([None, *MetadataError])


def record_of(ids: Any, **values: Any) -> FreshRecord:
    record = FreshRecord(contract_address=CONTRACT, fresh_since=SINCE.isoformat(), **values)
    record.choose(ids)
    return record


def wait_of(record: FreshRecord, **arguments: Any) -> FreshWait:
    return FreshWait(record, subject="Collection 0x", cadence=Cadence(interval_seconds=60), **arguments)


def metadata_of(token_id: int, seconds: float | None = 1, error: MetadataError | None = None) -> TokenMetadata:
    """Give what is known of a token that was refreshed some seconds after the moment."""
    at = None if seconds is None else SINCE.add(microseconds=round(seconds * 1_000_000))
    return TokenMetadata(token=Token(CONTRACT, token_id), time_last_updated=at, error=error)


class TestCounts:
    @given(st.lists(st.tuples(st.integers(0, 49), ANSWERS, st.booleans())), st.integers(1, 50))
    def test_they_add_up_after_any_answers(
        self, answers: list[tuple[int, MetadataError | None, bool]], tokens: int
    ) -> None:
        record = record_of(range(tokens))
        for position, error, is_fresh in answers:
            if position < tokens:
                record.take(position, error, is_fresh=is_fresh and error is None)

        counts, result = record.counts(), record.result()

        assert counts.tokens == tokens == counts.fresh + counts.stale + counts.failed
        assert 0 <= counts.lost <= counts.failed
        assert min(counts.fresh, counts.stale) >= 0
        assert sum(one["tokens"] for one in result["failures"].values()) == counts.failed
        assert (record.percent() == 100) is (counts.fresh == tokens)

    @given(st.integers(1, 300), st.randoms())
    def test_a_record_is_the_same_on_the_other_side(self, tokens: int, dice: random.Random) -> None:
        record = record_of([number * 2**150 for number in range(tokens)], seed=7, sample_size=tokens)
        for position in range(tokens):
            record.take(position, dice.choice([None, *MetadataError]), is_fresh=dice.random() < 0.3)

        assert FreshRecord.read(json.loads(json.dumps(record.to_dict()))) == record

    @pytest.mark.parametrize(
        "data",
        [
            None,
            7,
            {},
            {"contract_address": 7},
            {"contract_address": CONTRACT, "ids": "x-y"},
            {"contract_address": CONTRACT, "failed": [1]},
            {"contract_address": CONTRACT, "fresh": None},
        ],
    )
    def test_what_is_no_record_is_none(self, data: Any) -> None:
        assert FreshRecord.read(data) is None

    def test_what_another_version_adds_is_left_out(self) -> None:
        record = record_of([1])

        assert FreshRecord.read({**record.to_dict(), "mood": "good"}) == record

    def test_a_token_that_recovers_is_in_no_failure_any_more(self) -> None:
        record = record_of([5])
        record.take(0, MetadataError.INTERNAL, is_fresh=False)
        record.take(0, None, is_fresh=True)

        assert (record.counts().fresh, record.result()["failures"]) == (1, {})

    def test_at_most_a_hundred_tokens_are_named_for_each_reason(self) -> None:
        record = record_of(range(500))
        for position in range(200):
            record.take(position, MetadataError.INTERNAL, is_fresh=False)

        failures = record.result()["failures"]["internal"]
        assert (failures["tokens"], failures["token_ids"]) == (200, [str(number) for number in range(100)])

    def test_nearly_all_are_not_a_hundred_percent(self) -> None:
        record = record_of(range(10_000))
        for position in range(9_999):
            record.take(position, None, is_fresh=True)

        assert record.percent() == 99.9


class TestVerdicts:
    @pytest.mark.parametrize(
        ("min_fresh", "tokens", "needed"),
        [(1.0, 7, 7), (1, 7, 1), (0.0, 7, 0), (0.5, 7, 4), (0.29, 100, 29), (0.07, 100, 7), (50, 7, 7), (1.0, 0, 0)],
    )
    def test_a_share_is_rounded_up_and_a_number_is_at_most_all(
        self, min_fresh: float, tokens: int, needed: int
    ) -> None:
        assert needed_of(min_fresh, tokens) == needed

    @pytest.mark.parametrize(
        ("seconds", "error", "is_fresh"),
        [
            (0.000001, None, True),
            (0, None, False),
            (-1, None, False),
            (None, None, False),
            (1, MetadataError.INTERNAL, False),
            (1, MetadataError.UNKNOWN, False),
        ],
    )
    def test_only_a_later_refresh_without_an_error_is_a_proof(
        self, seconds: float | None, error: MetadataError | None, is_fresh: bool
    ) -> None:
        wait = wait_of(record_of([5]))

        wait.saw([0], {5: metadata_of(5, seconds, error)})

        assert wait.is_over is is_fresh

    def test_a_token_that_the_answer_leaves_out_is_not_proven(self) -> None:
        wait = wait_of(record_of([5, 6]))

        wait.saw([0, 1], {6: metadata_of(6)})

        assert (wait.record.fresh, wait.is_over) == ({1}, False)

    def test_errors_that_stay_fail_as_soon_as_the_rest_is_too_few(self) -> None:
        wait = wait_of(record_of(range(10)), min_fresh=0.8)
        wait.saw([0, 1], {at: metadata_of(at, 1, MetadataError.BAD_URI) for at in (0, 1)})
        assert not wait.is_hopeless

        wait.saw([2], {2: metadata_of(2, 1, MetadataError.NO_SUCH_TOKEN)})

        with pytest.raises(AlchemyTokensFailedError, match=r"3 of 10 tokens .* min_fresh asks for 8 fresh ones"):
            wait.looked(Usage())

    def test_errors_that_may_go_away_do_not(self) -> None:
        wait = wait_of(record_of([5]))

        wait.saw([0], {5: metadata_of(5, 1, MetadataError.UNKNOWN)})

        assert wait.looked(Usage()) == 60

    def test_a_contract_without_code_is_no_collection(self) -> None:
        wait = wait_of(record_of([5]))
        wait.saw([0], {5: metadata_of(5, 1, MetadataError.NO_CODE)})

        with pytest.raises(AlchemyNoSuchCollectionError):
            wait.looked(Usage())

    def test_what_was_answered_before_a_failure_may_be_enough(self) -> None:
        wait = wait_of(record_of([5, 6]), min_fresh=1)
        wait.saw([0], {5: metadata_of(5)})

        assert wait.failed(AlchemyServerError("HTTP 500"), Usage()) is None
        assert wait.record.state == "finished"

    def test_a_pass_goes_on_behind_the_last_answer_and_then_begins_anew(self) -> None:
        wait = wait_of(record_of(range(250)))
        first = wait.next_positions()
        wait.saw(first, {})
        assert wait.failed(AlchemyServerError("HTTP 500"), Usage())

        assert (list(first), wait.next_positions()[0]) == (list(range(100)), 100)
        for _ in range(2):
            wait.saw(wait.next_positions(), {})
        assert list(wait.next_positions()) == []
        wait.looked(Usage())
        assert wait.next_positions()[0] == 0

    def test_one_good_answer_clears_the_count_of_failures(self) -> None:
        wait = wait_of(record_of([5]), max_consecutive_failures=1)

        for _ in range(5):
            wait.failed(AlchemyServerError("HTTP 500"), Usage())
            wait.saw([0], {})
        wait.failed(AlchemyServerError("HTTP 500"), Usage())
        with pytest.raises(AlchemyServerError):
            wait.failed(AlchemyServerError("HTTP 500"), Usage())

    def test_a_poll_that_would_cost_too_much_is_not_made(self) -> None:
        wait = wait_of(record_of([5]), max_compute_units=900)
        wait.saw([0], {})

        with pytest.raises(AlchemySpendingLimitError, match="one more poll costs 480, and max_compute_units is 900"):
            wait.looked(Usage(calls=1, compute_units=480))

    def test_a_retry_keeps_the_proofs_and_forgets_the_failures(self) -> None:
        record = record_of([5, 6], deadline=SINCE.isoformat(), next_position=1)
        record.take(0, None, is_fresh=True)
        record.take(1, MetadataError.BAD_URI, is_fresh=False)

        record.begin_anew()

        assert (record.fresh, record.to_ask(), record.deadline) == ({0}, [1], None)


def test_the_zone_of_a_moment_is_utc_in_the_record() -> None:
    moment = read_fresh_since(datetime.now(UTC) - timedelta(days=1))

    assert moment.isoformat().endswith("+00:00")


class Service:
    """Answers calls as they are, and remembers them."""

    def __init__(self) -> None:
        self.settings = ClientSettings(api_key="some-key")
        self.calls: list[Call[Any]] = []

    async def send(self, call: Call[Any], **_: Any) -> Any:
        self.calls.append(call)
        return call.read(ANSWERS_OF[call.endpoint.name])


ANSWERS_OF: dict[str, Any] = {
    "getContractMetadata": {"tokenType": "ERC721", "totalSupply": "1"},
    "getNFTsForContract": {"nfts": [{"tokenId": "5"}]},
    "getNFTMetadataBatch": {"nfts": [{"tokenId": "5", "timeLastUpdated": "2026-11-22T10:00:01Z"}]},
}


async def test_a_look_asks_for_what_the_service_knows_and_refreshes_nothing() -> None:
    service, wait = Service(), wait_of(record_of([5]))

    assert await look(service, wait, Usage()) is None

    assert [{**call.body, "tokens": None} for call in service.calls] == [{"tokens": None, "tokenUriTimeoutInMs": 0}]


async def test_a_host_that_is_not_found_after_the_listing_is_no_unknown_network() -> None:
    wait = wait_of(FreshRecord(contract_address=CONTRACT, fresh_since=SINCE.isoformat(), seed=1, sample_size=10))

    await choose_sample(Service(), wait, Usage())

    assert wait.record.ids == (5,)
    assert wait.failed(AlchemyHostNotFoundError("no such host"), Usage()) is not None
