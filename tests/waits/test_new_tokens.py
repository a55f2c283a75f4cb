# SPDX-License-Identifier: Apache-2.0
"""The wait for new tokens: which blocks are read, from where on, when it ends, what it returns."""

from __future__ import annotations

import itertools
import logging
import time
from typing import Any

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.errors import (
    AlchemyDeadlineError,
    AlchemyEndpointGoneError,
    AlchemyError,
    AlchemyHostNotFoundError,
    AlchemyRequestError,
    AlchemyServerError,
)
from airflow_provider_alchemy.waits.new_tokens import MAX_POLL_SECONDS, MIN_PRICE, NewTokensGoal, NewTokensState
from airflow_provider_alchemy.waits.wait import from_json, to_json
from tests.chain.scenes import LARGEST, consecutive, single

from .service import CONTRACT, NOW, Clock, Polls, Service, in_seconds, known, wait_for

BUSY = AlchemyServerError("Alchemy answered HTTP 503")
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
BLOCK_SECONDS = 12


def topic(number: int) -> str:
    return f"0x{number:064x}"


class Chain:
    """
    A chain whose blocks have their time, and tokens that are minted in them.

    :param newest: The newest block, or one for each time that it is asked for.
    :param minted: Tokens by the block in which they are minted.
    :param failures: What the calls for logs end with, before any answers.
    """

    def __init__(self, newest: Any, minted: dict[int, list[int]] | None = None, *failures: AlchemyError) -> None:
        self._newest = iter(newest) if isinstance(newest, list) else itertools.repeat(newest)
        self._minted = minted or {}
        self.failures = list(failures)
        self.read: list[range] = []
        self.times = 0

    def __call__(self, call: Any) -> Any:
        method, params = call.body["method"], call.body["params"]
        if method == "eth_blockNumber":
            return {"result": hex(next(self._newest))}
        if method == "eth_getBlockByNumber":
            self.times += 1
            return {"result": {"timestamp": hex(int(NOW.timestamp()) + BLOCK_SECONDS * (int(params[0], 16) - 1000))}}
        if self.failures:
            return self.failures.pop(0)
        blocks = range(int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16) + 1)
        self.read.append(blocks)
        return {"result": [log(block, token) for block in blocks for token in self._minted.get(block, [])]}


def log(block: int, token_id: int) -> dict[str, Any]:
    return {
        "address": CONTRACT,
        "topics": [TRANSFER, topic(0), topic(1), topic(token_id)],
        "data": "0x",
        "blockNumber": hex(block),
        "transactionHash": topic(2),
        "logIndex": hex(token_id % 2**32),
        "removed": False,
    }


class Logs(Chain):
    """A chain whose block 150 has some logs, and whose newest block is 200."""

    def __init__(self, *entries: dict[str, Any]) -> None:
        super().__init__(200)
        self._entries = [
            {**one, "address": CONTRACT, "blockNumber": hex(150), "logIndex": hex(at)} for at, one in enumerate(entries)
        ]

    def __call__(self, call: Any) -> Any:
        answer = super().__call__(call)
        is_there = call.body["method"] == "eth_getLogs" and 150 in self.read[-1]
        return {"result": self._entries} if is_there else answer


def goal_from(block: int | None = 100, **values: Any) -> NewTokensGoal:
    return NewTokensGoal(known(NewTokensState, **{"asked_block": block, "confirmations": 12, **values}))


def polls_of(clock: Clock, chain: Chain, goal: NewTokensGoal, **rules: Any) -> Polls:
    poll = Polls(clock, goal, **rules)
    poll.service = Service(answer=chain)
    return poll


def once(poll: Polls) -> float | None:
    return poll(None)


@pytest.fixture
def one_call_a_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """End each poll after a call for logs, as one that has read for a minute."""
    times = itertools.count(step=MAX_POLL_SECONDS)
    monkeypatch.setattr(time, "monotonic", lambda: next(times))


class TestWhichBlocks:
    @given(newest=st.lists(st.integers(0, 500), min_size=1, max_size=30), confirmations=st.integers(0, 20))
    def test_each_is_read_once_and_in_order_whatever_nodes_say_is_the_newest(
        self, newest: list[int], confirmations: int
    ) -> None:
        chain, goal = Chain(newest), goal_from(50, confirmations=confirmations)
        with time_machine.travel(NOW, tick=False) as traveller:
            poll = polls_of(Clock(traveller), chain, goal)
            for _ in newest:
                once(poll)

        last = max(newest) - confirmations
        assert [block for blocks in chain.read for block in blocks] == list(range(50, last + 1))
        assert goal.state.until_block == (last if last >= 50 else None)

    def test_the_last_confirmed_one_counts(self, clock: Clock) -> None:
        chain = Chain([111, 112], {100: [7]})
        poll = polls_of(clock, chain, goal_from())

        assert (once(poll), chain.read) == (60, [])
        assert (once(poll), chain.read) == (None, [range(100, 101)])

    def test_where_none_is_named_it_is_the_newest(self, clock: Clock) -> None:
        poll = polls_of(clock, Chain(500), goal_from(None))
        once(poll)

        assert (poll.state.since_block, poll.wait.goal.result()["until_block"]) == (500, None)
        assert poll.wait.goal.describe() == "no new tokens, block 500 was not confirmed yet"

    @pytest.mark.usefixtures("one_call_a_poll")
    def test_a_poll_that_reads_for_a_minute_is_saved_and_the_next_comes_at_once(self, clock: Clock) -> None:
        poll = polls_of(clock, Chain(50_000, {100: [7]}), goal_from(min_tokens=1))

        assert once(poll) == 0
        state = from_json(NewTokensState, to_json(poll.state))
        assert (state.is_behind, state.ids, 100 < state.next_block < 50_000) == (True, "7", True)
        assert NewTokensGoal(state).first_delay_seconds(poll.wait.interval, at_once=False) == 0
        assert poll.wait.goal.is_enough()
        assert not poll.wait.goal.is_done()

    def test_what_was_read_before_a_failure_is_not_read_again(self, clock: Clock) -> None:
        chain = Chain(50_000)
        poll = polls_of(clock, chain, goal_from())
        chain.failures = [BUSY]
        assert (once(poll) or 0) >= 1
        chain.failures = []
        once(poll)

        assert [block for blocks in chain.read for block in blocks] == list(range(100, 50_000 - 11))


class TestATime:
    def test_its_first_block_is_searched_among_the_confirmed_ones(self, clock: Clock) -> None:
        chain = Chain(2000, {1100: [7]})
        poll = polls_of(clock, chain, goal_from(None, asked_time=in_seconds(100 * BLOCK_SECONDS - 0.5)))

        assert once(poll) is None
        assert (poll.state.since_block, poll.state.search, chain.read[0][0]) == (1100, None, 1100)
        assert chain.times <= 12

    def test_one_that_no_confirmed_block_has_reached_is_waited_for(self, clock: Clock) -> None:
        poll = polls_of(clock, Chain([2000, 2000, 2112]), goal_from(None, asked_time=in_seconds(1100 * BLOCK_SECONDS)))
        assert [once(poll), once(poll)] == [60, 60]
        assert (
            poll.wait.goal.describe() == f"no new tokens, no block since {poll.state.asked_time.isoformat()} was known"
        )

        poll.wait.goal.state.search = from_json(NewTokensState, to_json(poll.state)).search
        once(poll)
        assert poll.state.since_block == 2100

    @pytest.mark.parametrize("words", ["Unsupported method", "the method is not whitelisted"])
    def test_a_network_that_does_not_tell_times_is_an_error_with_advice(self, words: str, clock: Clock) -> None:
        chain = Chain(2000)
        error = AlchemyRequestError(words, http_status=400)
        poll = polls_of(clock, chain, goal_from(None, asked_time=NOW))
        poll.service = Service(answer=lambda call: error if "ByNumber" in call.endpoint.name else chain(call))

        with pytest.raises(AlchemyEndpointGoneError, match="Name the first block with since_block instead of since"):
            once(poll)


class TestItsEnd:
    def test_enough_different_tokens_end_it(self, clock: Clock) -> None:
        poll = polls_of(clock, Chain([150, 200], {110: [1, 1], 160: [1, 2]}), goal_from(min_tokens=2))

        assert (once(poll), once(poll)) == (60, None)
        assert poll.state.status == "finished"

    @pytest.mark.usefixtures("one_call_a_poll")
    def test_a_deadline_with_enough_is_a_good_end_and_says_that_not_all_was_read(
        self, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        poll = polls_of(clock, Chain(50_000, {100: [7]}), goal_from(deadline=NOW))

        assert once(poll) is None
        assert poll.state.status == "finished"
        assert "ending with what was found: " in caplog.text

    def test_a_deadline_with_too_few_is_none(self, clock: Clock) -> None:
        with pytest.raises(AlchemyDeadlineError, match=r"no new tokens, the newest block .* failed.*503.* Check that"):
            Polls(clock, goal_from(deadline=NOW))(BUSY)
        with pytest.raises(AlchemyDeadlineError, match="1 new token in blocks 100 to 188 when the task's timeout"):
            once(polls_of(clock, Chain(200, {100: [7]}), goal_from(deadline=NOW, min_tokens=2)))

    @pytest.mark.parametrize(("error", "is_over"), [(BUSY, False), (AlchemyRequestError("no"), True)], ids=str)
    def test_with_enough_only_a_failure_that_stays_is_a_good_end(
        self, error: AlchemyError, is_over: bool, clock: Clock
    ) -> None:
        goal = goal_from(ids="7", since_block=100, next_block=120, is_behind=True)
        poll = polls_of(clock, Chain(200, None, *[error] * 10), goal)

        assert (once(poll) is None) is is_over

    def test_a_host_that_answered_is_no_unknown_network(self, clock: Clock) -> None:
        poll = polls_of(clock, Chain(200, None, AlchemyHostNotFoundError("no such host")), goal_from())

        assert once(poll) == 60

    def test_each_part_that_was_read_clears_the_count_of_failures(self, clock: Clock) -> None:
        goal = goal_from(since_block=100, next_block=100, failures=1, min_tokens=2)
        poll = polls_of(clock, chain := Chain([200, 300, 300], {100: [7]}), goal, max_consecutive_failures=1)
        once(poll)
        chain.failures += [BUSY] * 20
        once(poll)

        with pytest.raises(AlchemyServerError):
            once(poll)


class TestWhatItKeeps:
    @given(st.sets(st.integers(0, 2**256 - 1), max_size=50))
    def test_tokens_are_the_same_on_the_other_side(self, ids: set[int]) -> None:
        poll_state = goal_from().state
        poll_state.ids = ",".join(f"{token:x}" for token in sorted(ids))

        assert NewTokensGoal(from_json(NewTokensState, to_json(poll_state))).result()["token_ids"] == [
            str(token) for token in sorted(ids)
        ]

    def test_a_whole_collection_takes_a_few_characters(self, clock: Clock) -> None:
        poll = polls_of(clock, Chain(200, {100: list(range(10_000))}), goal_from())
        once(poll)

        assert to_json(poll.state)["ids"] == "0-270f"

    def test_a_range_of_all_tokens_there_can_be_takes_no_memory_and_no_list(self, clock: Clock) -> None:
        poll = polls_of(clock, Logs(consecutive(0, LARGEST), consecutive(5, 9)), goal_from())

        assert once(poll) is None
        state = to_json(poll.state)
        result = poll.wait.goal.result()
        assert (state["ids"], state["logged_progress"]) == (f"0-{LARGEST:x}", 100)
        assert (result["token_ids"], result["token_count"]) == (None, None)
        assert "(more than 100,000: token_ids is None)" in poll.wait.goal.summary()

    def test_an_id_that_is_minted_again_counts_once(self, clock: Clock) -> None:
        goal = goal_from(ids="5", since_block=100, next_block=150, min_tokens=2)
        poll = polls_of(clock, Logs(single(5), single(6), single(6)), goal)

        assert once(poll) is None
        assert poll.wait.goal.result()["token_ids"] == ["5", "6"]

    def test_a_new_try_keeps_what_was_read(self) -> None:
        state = known(NewTokensState, since_block=100, next_block=120, ids="3", deadline=NOW, failures=4, rounds=5)
        state.begin_new_try()

        assert (state.since_block, state.until_block, state.ids) == (100, 119, "3")
        assert (state.failures, state.rounds, state.deadline) == (0, 0, None)

    def test_its_result_is_what_is_documented(self, clock: Clock) -> None:
        poll = polls_of(clock, Chain(112, {100: [2**256 - 1, 7]}), goal_from())
        once(poll)

        assert poll.wait.goal.result() == {
            "contract_address": CONTRACT,
            "network": "eth-mainnet",
            "state": "finished",
            "progress": None,
            "token_ids": ["7", str(2**256 - 1)],
            "token_count": 2,
            "since_block": 100,
            "until_block": 100,
            "next_block": 101,
            "submitted_at": NOW.isoformat(),
            "finished_at": NOW.isoformat(),
            "polls": 2,
            "compute_units": MIN_PRICE,
            "usd": 0.0000315,
        }

    def test_each_tenth_is_a_line_of_the_log(self, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        goal = goal_from(min_tokens=100)
        chain = Chain(list(range(112, 212)), {block: [block] for block in range(100, 200)})
        clock.run(wait_for(goal).run(Service(answer=chain)))

        shown = [line.split(": ")[1] for line in caplog.messages if "(waiting for 100)" in line]
        assert len(shown) == 10
        assert shown[0] == "10 new tokens in blocks 100 to 109 (waiting for 100)"
        assert "waiting for 100 new tokens from block 100 on" in caplog.text
