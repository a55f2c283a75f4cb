# SPDX-License-Identifier: Apache-2.0
"""How much a call may ask for: any limit is found, used, and given up when the plan changes, by few calls."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.chain_limits import (
    CALLS_BEFORE_A_LARGER_ONE,
    MOST_BLOCKS,
    CallLimit,
    Refusal,
    allowed_blocks,
    is_about_contracts,
    refusal_of,
)
from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyBadAnswerError,
    AlchemyError,
    AlchemyRateLimitError,
    AlchemyRequestError,
    AlchemyServerError,
    AlchemyTimeoutError,
    AlchemyUnexpectedAnswerError,
)

HINT = (
    "Alchemy answered HTTP 400: Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block "
    "range. Based on your parameters, this block range should work: [0x1312d00, 0x1312d09]. Upgrade to PAYG"
)


@dataclass
class Service:
    """A service with a limit that it does not tell, and what it was asked."""

    limit: int
    names_it: bool = False
    accepted: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    def read(self, blocks: int, limit: CallLimit) -> None:
        """Have so many blocks read."""
        while blocks:
            size = min(limit.size, blocks)
            assert 1 <= size <= MOST_BLOCKS
            if size <= self.limit:
                self.accepted.append(size)
                limit.accept(size)
                blocks -= size
            else:
                self.refused.append(size)
                limit.refuse(size, self.limit if self.names_it else None)


class TestSearching:
    def test_without_a_limit_one_call_reads_all(self) -> None:
        service = Service(MOST_BLOCKS)
        service.read(7_200, CallLimit(MOST_BLOCKS))
        assert (service.accepted, service.refused) == ([7_200], [])

    @given(hidden=st.integers(1, MOST_BLOCKS), blocks=st.integers(1, 5_000), before=st.integers(0, 50))
    def test_any_limit_is_found_and_then_used(self, hidden: int, blocks: int, before: int) -> None:
        limit, service = CallLimit(MOST_BLOCKS), Service(hidden)
        service.read(before, limit)
        service.read(blocks * 3, limit)
        searched = 3 * math.log2(MOST_BLOCKS)
        probed = len(service.accepted) / CALLS_BEFORE_A_LARGER_ONE

        assert len(service.refused) <= searched + probed
        least = math.ceil(before / hidden) + math.ceil(blocks * 3 / hidden)
        assert len(service.accepted) <= least + searched
        if len(service.accepted) > 2 * searched:
            assert max(service.accepted) == hidden

    @pytest.mark.parametrize(
        ("hidden", "refused", "more_calls"),
        [(10, 7, 0), (7, 8, 1), (100, 4, 0), (500, 2, 0), (1000, 0, 0), (3, 10, 1), (1, 9, 0)],
    )
    def test_this_is_what_the_search_costs_a_thousand_blocks(self, hidden: int, refused: int, more_calls: int) -> None:
        service = Service(hidden)
        service.read(1_000, CallLimit(MOST_BLOCKS))

        wasted = [size for size in service.refused if size < 1_001]
        least = math.ceil(1_000 / hidden)
        probes = len(service.accepted) // CALLS_BEFORE_A_LARGER_ONE
        assert (len(wasted) - probes, len(service.accepted) - least) <= (refused, more_calls)

    @given(hidden=st.integers(1, 5_000), blocks=st.integers(5_001, 10_000))
    def test_a_refusal_that_names_the_limit_is_the_only_one(self, hidden: int, blocks: int) -> None:
        service = Service(hidden, names_it=True)
        service.read(blocks, CallLimit(MOST_BLOCKS))

        probes = len(service.accepted) // CALLS_BEFORE_A_LARGER_ONE
        assert len(service.refused) <= 1 + probes
        assert len(service.accepted) == math.ceil(blocks / hidden)

    def test_a_name_that_is_wrong_is_not_believed_for_long(self) -> None:
        limit = CallLimit(MOST_BLOCKS)
        limit.refuse(1_000, 100)
        service = Service(20)
        service.read(1_000, limit)
        assert max(service.accepted) == 20

    @pytest.mark.parametrize("allowed", [0, -5, 1_000, 5_000])
    def test_a_name_that_cannot_be_is_not_believed_at_all(self, allowed: int) -> None:
        limit = CallLimit(MOST_BLOCKS)
        limit.refuse(1_000, allowed)
        assert limit.size == 500


class TestAPlanThatChanges:
    def known(self, hidden: int) -> CallLimit:
        limit = CallLimit(MOST_BLOCKS)
        Service(hidden).read(hidden * 20, limit)
        assert limit.size == hidden
        return limit

    @given(hidden=st.integers(2, 200), later=st.integers(201, MOST_BLOCKS))
    def test_a_larger_limit_is_found_again(self, hidden: int, later: int) -> None:
        limit, service = self.known(hidden), Service(later)
        service.read(hidden * CALLS_BEFORE_A_LARGER_ONE + later * 40, limit)

        assert max(service.accepted) == later
        assert len(service.refused) <= 2 * math.log2(MOST_BLOCKS)

    @given(hidden=st.integers(200, 5_000), later=st.integers(1, 199))
    def test_a_smaller_limit_is_found_again(self, hidden: int, later: int) -> None:
        limit, service = self.known(hidden), Service(later)
        service.read(later * 200, limit)

        assert service.accepted.count(later) > 150

    def test_a_larger_call_that_is_refused_costs_that_call_only(self) -> None:
        limit, service = self.known(10), Service(10)
        service.read(10_000, limit)

        assert set(service.accepted) == {10}
        assert len(service.refused) <= 1_000 / CALLS_BEFORE_A_LARGER_ONE


class TestBlocksThatHoldTooMuch:
    def test_a_refusal_halves(self) -> None:
        limit = CallLimit(MOST_BLOCKS)
        limit.refuse(800, is_for_now=True)
        assert limit.size == 400

    def test_the_next_calls_grow_again_at_once(self) -> None:
        limit = CallLimit(MOST_BLOCKS)
        limit.refuse(800, 3, is_for_now=True)
        sizes = []
        while limit.size < MOST_BLOCKS:
            sizes.append(limit.size)
            limit.accept(limit.size)
        assert sizes == [3 * 2**power for power in range(12)]

    def test_what_is_known_of_the_plan_stays(self) -> None:
        limit = CallLimit(MOST_BLOCKS)
        limit.refuse(1_000, 10)
        limit.refuse(10, is_for_now=True)
        sizes = []
        for _ in range(4):
            sizes.append(limit.size)
            limit.accept(limit.size)
        assert sizes == [5, 10, 10, 10]


class TestWhatARefusalSays:
    @pytest.mark.parametrize(
        ("error", "refusal"),
        [
            (AlchemyRequestError(HINT, http_status=400), Refusal.TOO_MUCH),
            (AlchemyRequestError("block range is too wide", http_status=400), Refusal.TOO_MUCH),
            (AlchemyUnexpectedAnswerError("query exceeds max block range", http_status=200), Refusal.TOO_MUCH),
            (AlchemyRequestError("too many addresses", http_status=400), Refusal.TOO_MUCH),
            (AlchemyRequestError("request entity", http_status=413), Refusal.TOO_MUCH),
            (AlchemyRequestError("Log response size exceeded.", http_status=400), Refusal.TOO_MUCH_HERE),
            (AlchemyUnexpectedAnswerError("h sent more than 16 MiB", http_status=200), Refusal.TOO_MUCH_HERE),
            (AlchemyTimeoutError("h gave no complete answer"), Refusal.TOO_MUCH_HERE),
            (AlchemyRequestError("Invalid arg", http_status=400), Refusal.PERHAPS),
            (AlchemyUnexpectedAnswerError("Moved", http_status=302), Refusal.PERHAPS),
            (AlchemyUnexpectedAnswerError("the answer has no list of logs: too many"), Refusal.NONE),
            (AlchemyServerError("limit", http_status=503), Refusal.NONE),
            (AlchemyBadAnswerError("range"), Refusal.NONE),
            (AlchemyRateLimitError("has exceeded its compute units per second capacity"), Refusal.NONE),
            (AlchemyAuthenticationError("limit", http_status=403), Refusal.NONE),
        ],
        ids=lambda value: str(value)[:50],
    )
    def test_each_error_is_told_apart(self, error: AlchemyError, refusal: Refusal) -> None:
        assert refusal_of(error) is refusal

    def test_a_range_that_would_work_is_read(self) -> None:
        assert allowed_blocks(HINT) == 10

    def test_a_number_is_enough(self) -> None:
        assert allowed_blocks("requests with up to a 500 block range.") == 500

    @pytest.mark.parametrize("text", ["", "block range is too wide", "up to a 2K block range", "[0x5, 0x]"])
    def test_nothing_is_read_where_nothing_is_named(self, text: str) -> None:
        assert allowed_blocks(text) is None

    def test_complaints_about_contracts(self) -> None:
        assert is_about_contracts("Too many Addresses")
        assert not is_about_contracts("block range is too wide")
