# SPDX-License-Identifier: Apache-2.0
"""The wait for fresh metadata: what proves a token, samples, passes over many tokens, what it costs and returns."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.errors import (
    AlchemyDeadlineError,
    AlchemyError,
    AlchemyHostNotFoundError,
    AlchemyNoSuchCollectionError,
    AlchemyRequestError,
    AlchemyServerError,
    AlchemySpendingLimitError,
    AlchemyTokensFailedError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.waits.freshness import (
    LISTED_TOKENS,
    MIN_SAMPLE_PRICE,
    FreshnessGoal,
    FreshnessState,
    needed_of,
    sample_of,
    seed_of,
)
from airflow_provider_alchemy.waits.wait import from_json, to_json

from .service import NOW, PRICE, SUBJECT, Clock, Polls, in_seconds, known

BUSY = AlchemyServerError("Alchemy answered HTTP 503")
GONE = "Token does not exist"
BROKEN = "IPFS gateway timed out"
LIST, CONTRACT = 600, 160
"""Compute units of a page of the listing, and of the question how many tokens there are."""


def nft(token_id: int, seconds: float | None = 1, error: str | None = None) -> dict[str, Any]:
    """Give what the service knows of a token that was refreshed some seconds after the time."""
    at = None if seconds is None else in_seconds(seconds - 3600).isoformat()
    return {"tokenId": str(token_id), "timeLastUpdated": at, "raw": {"error": error}}


def nfts(*tokens: Any, **page: Any) -> dict[str, Any]:
    return {"nfts": [nft(token) if isinstance(token, int) else token for token in tokens], **page}


def goal_of(ids: Any = None, min_fresh: str = "1.0", **values: Any) -> FreshnessGoal:
    """Give a goal for tokens, or for a sample of ten."""
    state = known(FreshnessState, fresh_since=in_seconds(-3600), min_fresh=min_fresh, **values)
    if ids is None:
        state.seed, state.sample_size = 7, values.get("sample_size", 10)
    else:
        state.choose(ids)
    return FreshnessGoal(state)


def again(goal: FreshnessGoal) -> FreshnessGoal:
    """Give the goal as the next process has it."""
    return FreshnessGoal(from_json(FreshnessState, to_json(goal.state)))


class TestProofs:
    @pytest.mark.parametrize(
        ("token", "is_fresh"),
        [
            (nft(5, 0.000001), True),
            (nft(5, 0), False),
            (nft(5, -1), False),
            (nft(5, None), False),
            (nft(5, 3600 + 3599), True),
            (nft(5, 3600 + 3601), False),
            (nft(5, 1, BROKEN), False),
            (nft(5, 1, "an error of tomorrow"), False),
            (nft(6), False),
        ],
        ids=str,
    )
    def test_only_a_later_refresh_without_an_error_is_one(
        self, token: dict[str, Any], is_fresh: bool, clock: Clock
    ) -> None:
        delay = Polls(clock, goal_of([5]))(nfts(token))

        assert delay == (None if is_fresh else 60)

    def test_nothing_is_refreshed_and_no_proven_token_is_asked_for_again(self, clock: Clock) -> None:
        poll = Polls(clock, goal_of([5, 6, 7]))
        poll(nfts(5, nft(6, -1)), nfts(6, 7))

        bodies = [call.body for call in poll.service.calls]
        assert [[int(token["tokenId"]) for token in body.pop("tokens")] for body in bodies] == [[5, 6, 7], [6, 7]]
        assert bodies == [{"tokenUriTimeoutInMs": 0}] * 2

    @pytest.mark.parametrize(
        ("min_fresh", "tokens", "needed"),
        [("1.0", 7, 7), ("1", 7, 1), ("0.0", 7, 0), ("0.5", 7, 4), ("0.29", 100, 29), ("50", 7, 7), ("1.0", 0, 0)],
    )
    def test_a_share_is_rounded_up_and_a_number_is_at_most_all(self, min_fresh: str, tokens: int, needed: int) -> None:
        assert needed_of(min_fresh, tokens) == needed

    def test_errors_that_stay_fail_as_soon_as_the_rest_is_too_few(self, clock: Clock) -> None:
        poll = Polls(clock, goal_of(range(10), min_fresh="0.8"))
        assert poll(nfts(nft(0, 1, GONE), nft(1, 1, GONE))) == 60

        words = (
            r"3 of 10 tokens have an error that stays, and min_fresh asks for 8 fresh ones: no_such_token 3 \(token 0"
        )
        with pytest.raises(AlchemyTokensFailedError, match=words) as caught:
            poll(nfts(nft(2, 1, GONE)))
        assert (caught.value.is_permanent, caught.value.subject) == (True, SUBJECT)

    def test_a_contract_without_code_is_no_collection(self, clock: Clock) -> None:
        with pytest.raises(AlchemyNoSuchCollectionError):
            Polls(clock, goal_of([5]))(nfts(nft(5, 1, "Contract does not have any code")))

    def test_what_was_answered_before_a_failure_may_be_enough(self, clock: Clock) -> None:
        poll = Polls(clock, goal_of(range(150), min_fresh="1"))
        poll.service.answers = [nfts(5), AlchemyRequestError("no")]

        assert clock.run(poll.wait.poll(poll.service)) is None
        assert poll.state.status == "finished"

    def test_the_deadline_says_how_many_are_proven(self, clock: Clock) -> None:
        words = (
            r"1 of 3 tokens were newer than 2026-11-22T09:00:00\+00:00 \(1 not, 1 with an error\) when the task's "
            "timeout was over. A refresh that was accepted is no proof"
        )
        with pytest.raises(AlchemyDeadlineError, match=words):
            Polls(clock, goal_of([5, 6, 7], deadline=NOW))(nfts(5, nft(6, 1, BROKEN)))


class TestPasses:
    def test_a_pass_asks_for_a_hundred_with_each_call(self, clock: Clock) -> None:
        poll = Polls(clock, goal_of(range(250)))
        poll.service.answers = [nfts()] * 3
        clock.run(poll.wait.poll(poll.service))

        assert [len(call.body["tokens"]) for call in poll.service.calls] == [100, 100, 50]
        assert poll.service.attempts == [5, 5, 5]

    def test_one_that_failed_goes_on_behind_the_last_answer_also_in_another_process(self, clock: Clock) -> None:
        poll = Polls(clock, goal_of(range(250)))
        poll.service.answers = [nfts(3), BUSY]
        assert (clock.run(poll.wait.poll(poll.service)) or 0) >= 1
        poll = Polls(clock, again(poll.wait.goal))  # type: ignore[arg-type]
        poll.service.answers = [nfts(), nfts(), nfts(), nfts(), nfts()]
        for _ in range(2):
            clock.run(poll.wait.poll(poll.service))

        first = [int(call.body["tokens"][0]["tokenId"]) for call in poll.service.calls]
        assert first == [100, 200, 0, 101, 201]
        assert poll.service.attempts == [1, 5, 1, 5, 5]

    def test_each_answer_clears_the_count_of_failures(self, clock: Clock) -> None:
        poll = Polls(clock, goal_of(range(1_000)), max_consecutive_failures=1)
        for _ in range(5):
            poll.service.answers += [nfts(), BUSY]
            clock.run(poll.wait.poll(poll.service))

        with pytest.raises(AlchemyServerError):
            poll(BUSY)

    def test_its_first_one_must_be_payable_as_a_whole(self, clock: Clock) -> None:
        with pytest.raises(AlchemySpendingLimitError, match="to ask for each of them once costs 1,440"):
            Polls(clock, goal_of(range(250)), max_compute_units=3 * PRICE - 1)(nfts())

        poll = Polls(clock, goal_of([5]), max_compute_units=900)
        with pytest.raises(AlchemySpendingLimitError, match="one more poll costs 480, and max_compute_units is 900"):
            poll(nfts())


class TestSamples:
    @given(st.sets(st.integers(0, 2**256 - 1), max_size=300), st.integers(1, 120), st.integers(), st.randoms())
    def test_one_is_a_part_of_the_collection_and_the_same_in_every_process(
        self, ids: set[int], size: int, seed: int, dice: Any
    ) -> None:
        listed = list(ids)
        dice.shuffle(listed)
        sample = sample_of(listed, size, seed)

        assert sample == sample_of(sorted(ids), size, seed) == tuple(sorted(set(sample) & ids))
        assert len(sample) == min(size, len(ids))

    def test_each_token_has_the_same_chance(self) -> None:
        hits = [0] * 50
        for seed in range(2_000):
            for token_id in sample_of(range(50), 10, seed):
                hits[token_id] += 1

        # 400 expected, with a standard deviation of 18.
        assert 310 < min(hits) < max(hits) < 490

    def test_a_seed_is_the_same_for_the_same_task_and_another_for_each_run(self) -> None:
        assert seed_of("dag", "run", "task", -1) == 16_161_093_628_107
        assert len({seed_of("dag", f"run {number}", "task", -1) for number in range(1_000)}) == 1_000
        assert all(0 <= seed_of(number) < 2**53 for number in range(1_000))

    def listing(self, tokens: int, **contract: Any) -> list[Any]:
        """Answer the question how many tokens there are, and the pages of their list."""
        pages = [nfts(*range(at, min(at + 100, tokens)), pageKey=str(at + 100)) for at in range(0, tokens, 100)]
        pages[-1]["pageKey"] = None
        return [{"tokenType": "ERC721", "totalSupply": str(tokens), **contract}, *pages, nfts()]

    def chosen(self, clock: Clock, answers: list[Any], *, deadline: Any = None, **rules: Any) -> Polls:
        """Choose a sample and ask for it once."""
        poll = Polls(clock, goal_of(deadline=deadline), **rules)
        poll.service.answers = answers
        clock.run(poll.wait.poll(poll.service))
        return poll

    def test_it_is_chosen_once_and_then_waited_for(self, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        poll = self.chosen(clock, self.listing(250))
        goal = again(poll.wait.goal)  # type: ignore[arg-type]

        assert goal.tokens == sample_of(range(250), 10, 7)
        assert goal.is_accepted()
        assert poll.state.compute_units == CONTRACT + 3 * LIST + PRICE
        assert "reading the list of its 250 tokens, for 1,800 compute units, for a sample" in caplog.text
        assert "waiting for 10 of 250 tokens (a sample with seed 7) to be newer than 2026" in caplog.text
        assert Polls(clock, goal)(nfts(*goal.tokens)) is None

    def test_a_list_that_would_cost_too_much_is_not_begun(self, clock: Clock) -> None:
        price = CONTRACT + 3 * LIST + PRICE

        with pytest.raises(AlchemySpendingLimitError, match=r"a sample of its tokens and one poll cost 2,440"):
            self.chosen(clock, self.listing(250), max_compute_units=price - 1)
        with pytest.raises(AlchemySpendingLimitError, match=r"had spent 2,440 compute units: one more poll costs 480"):
            self.chosen(clock, self.listing(250), max_compute_units=price)
        assert MIN_SAMPLE_PRICE == CONTRACT + LIST + PRICE

    def test_a_list_that_goes_on_longer_than_was_said_ends_at_the_limit(self, clock: Clock) -> None:
        answers = self.listing(250, totalSupply="100")

        with pytest.raises(AlchemySpendingLimitError, match=r"goes on after 1,360 .* is 1,400"):
            self.chosen(clock, answers, max_compute_units=1400)

    def test_one_that_never_ends_ends_at_the_deadline_and_one_that_repeats_itself_at_once(self, clock: Clock) -> None:
        with pytest.raises(AlchemyDeadlineError, match="the collection's tokens were not known"):
            self.chosen(clock, self.listing(250), deadline=NOW)

        contract, page, *_ = self.listing(250)
        with pytest.raises(AlchemyUnexpectedAnswerError):
            self.chosen(clock, [contract, page, page])

    @pytest.mark.parametrize("kind", ["NOT_A_CONTRACT", "NO_SUPPORTED_NFT_STANDARD"])
    def test_what_is_no_collection_has_no_list(self, kind: str, clock: Clock) -> None:
        with pytest.raises(AlchemyNoSuchCollectionError):
            self.chosen(clock, [{"tokenType": kind}])

    def test_a_collection_without_tokens_is_fresh(self, clock: Clock) -> None:
        assert self.chosen(clock, [self.listing(1)[0], nfts()]).wait.goal.is_done()

    @pytest.mark.parametrize("error", [BUSY, AlchemyHostNotFoundError("no such host")], ids=str)
    def test_a_list_that_fails_is_not_read_again_and_afterwards_any_failure_is_waited_out(
        self, error: AlchemyError, clock: Clock
    ) -> None:
        with pytest.raises(type(error)):
            self.chosen(clock, [self.listing(5)[0], error])

        assert self.chosen(clock, self.listing(5))(error) == 60


ANSWERS = st.lists(st.tuples(st.integers(0, 49), st.sampled_from([None, GONE, BROKEN, "?"]), st.booleans()))


class TestWhatItReturns:
    @given(ANSWERS, st.integers(1, 50))
    def test_its_counts_add_up_after_any_answers(
        self, answers: list[tuple[int, str | None, bool]], tokens: int
    ) -> None:
        import asyncio  # noqa: PLC0415

        from .service import Service, wait_for  # noqa: PLC0415

        goal = goal_of(range(tokens), "0.0")
        pages = [nfts(nft(token, 1 if is_fresh else -1, error)) for token, error, is_fresh in answers]
        wait = wait_for(goal)
        for page in pages:
            asyncio.run(wait.poll(Service(page)))

        counts, result = goal.counts(), again(goal).result()
        assert counts.tokens == tokens == counts.fresh + counts.stale + counts.failed
        assert 0 <= counts.lost <= counts.failed
        assert sum(one["tokens"] for one in result["failures"].values()) == counts.failed
        assert (result["progress"] == 100) is (counts.fresh == tokens)

    def test_a_token_that_recovers_is_in_no_failure_any_more(self, clock: Clock) -> None:
        poll = Polls(clock, goal_of([5]))
        poll(nfts(nft(5, 1, BROKEN)))
        failures = poll.wait.goal.result()["failures"]
        poll(nfts(5))

        assert failures == {"ipfs_timeout": {"tokens": 1, "token_ids": ["5"]}}
        assert poll.wait.goal.result()["failures"] == {}

    def test_it_is_what_is_documented_and_short(self, clock: Clock) -> None:
        goal = goal_of([2**256 - 1, *range(5_000)], fresh="1-1387", failed={"ipfs_timeout": "1388"}, status="waiting")
        state = goal.state
        state.started_at, state.polls = NOW, 1
        failures = {"ipfs_timeout": {"tokens": 1, "token_ids": ["4999"]}}

        assert goal.result() == {
            "contract_address": state.contract_address,
            "network": "eth-mainnet",
            "state": "waiting",
            "progress": 99.9,
            "fresh_since": in_seconds(-3600).isoformat(),
            "seed": None,
            "token_ids": [str(2**256 - 1), *map(str, range(LISTED_TOKENS - 1))],
            "counts": {"tokens": 5_001, "fresh": 4_999, "stale": 1, "failed": 1},
            "failures": failures,
            "submitted_at": NOW.isoformat(),
            "finished_at": None,
            "polls": 1,
            "compute_units": 0,
            "usd": None,
        }
        assert clock.seconds == 0

    def test_at_most_a_hundred_tokens_are_named_for_each_reason(self) -> None:
        failures = goal_of(range(500), failed={"internal": "0-c7"}).result()["failures"]["internal"]

        assert (failures["tokens"], failures["token_ids"]) == (200, [str(number) for number in range(100)])

    def test_each_tenth_is_a_line_of_the_log(self, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        Polls(clock, goal_of(range(100)))(*(nfts(*range(at, at + 4)) for at in range(0, 100, 4)))

        shown = [line.split(": ")[1].split(" of")[0] for line in caplog.messages if "proven fresh" in line]
        assert shown == ["12", "24", "36", "48", "60", "72", "84", "96", "100"]
