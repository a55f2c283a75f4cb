# SPDX-License-Identifier: Apache-2.0
"""The wait for the proof that tokens' metadata is newer than a moment. It refreshes nothing."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any, ClassVar

from airflow_provider_alchemy.api import endpoints
from airflow_provider_alchemy.api.endpoints import (
    GET_CONTRACT_METADATA,
    MAX_TOKENS_PER_CALL,
    PAGE_ATTEMPTS,
    price_of_listing,
    price_of_poll,
)
from airflow_provider_alchemy.api.errors import (
    AlchemyError,
    AlchemyNoSuchCollectionError,
    AlchemySpendingLimitError,
    AlchemyTokensFailedError,
)
from airflow_provider_alchemy.api.logs import Log, log_unreadable, plural
from airflow_provider_alchemy.api.models import MetadataError, TokenMetadata
from airflow_provider_alchemy.api.packing import digest_of, pack_ids, unpack_ids
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.defaults import DEFAULT_MIN_FRESH, MAX_SAMPLE_SIZE
from airflow_provider_alchemy.waits.poller import Poller
from airflow_provider_alchemy.waits.wait import (
    FINISHED,
    LOGGED_PROGRESS_STEP,
    Goal,
    Wait,
    WaitState,
    check_positions,
    isoformat,
)

MIN_SAMPLE_PRICE = GET_CONTRACT_METADATA.compute_units + price_of_listing(1) + price_of_poll(1)
"""Compute units of the smallest collection that is sampled and polled once."""

NAMED_TOKENS = 5
"""How many tokens an error names for each reason."""

LISTED_FAILURES = 100
"""How many tokens a result names for each reason."""

LISTED_TOKENS = 1_000
"""How many of the given tokens a result names; the task knows them all."""

WAITING = "waiting"

_FINAL = frozenset(error.value for error in MetadataError if error.is_final)
_SEED_BYTES = 6  # below 2**53: exact in every reader of JSON


@dataclass(slots=True, kw_only=True)
class FreshnessState(WaitState):
    """What was seen of some tokens; they are positions in the list, packed, as the state travels often."""

    fresh_since: datetime  # what the metadata has to be newer than
    min_fresh: str = str(DEFAULT_MIN_FRESH)  # how many have to be fresh: digits are a number, with a point a share
    seed: int | None = None  # the sample's seed; None: the tokens were given
    sample_size: int | None = None  # how many tokens to sample; None: the tokens were given
    ids: str | None = None  # the tokens, packed; None: not known yet, or left out on the way from a trigger
    digest: str = ""  # which tokens the positions mean
    fresh: str = ""  # the positions of those that are proven
    failed: dict[str, str] = field(default_factory=dict)  # those whose last answer had an error, by reason
    next_position: int = 0  # where a pass over the tokens goes on that a failed call has cut short; 0: a new one begins
    unreadable: int = 0  # how many entries of the list named no token
    unlisted: int = 0  # how many tokens of the contract's supply the list left out

    def check(self) -> None:
        needed_of(self.min_fresh, 1)
        tokens = math.inf if self.ids is None else len(unpack_ids(self.ids))
        check_positions((self.fresh, *self.failed.values()), tokens)

    def choose(self, token_ids: Sequence[int]) -> None:
        self.ids, self.digest = pack_ids(token_ids), digest_of(token_ids)

    def forget_proofs(self) -> None:
        self.fresh, self.failed, self.next_position = "", {}, 0


@dataclass(frozen=True, slots=True)
class FreshCounts:
    """How many tokens there are, and how many are fresh, stale, failed, and failed with an error that stays."""

    tokens: int
    fresh: int
    stale: int
    failed: int
    lost: int


class FreshnessGoal(Goal[FreshnessState]):
    """Enough tokens are proven fresh."""

    state_type = FreshnessState
    poll_cost: ClassVar[int] = price_of_poll(1)
    deadline_advice = (
        "A refresh that was accepted is no proof: refresh the tokens again, or raise the limit where the refresh still "
        "runs"
    )
    spending_advice = "name fewer tokens (token_ids, sample_size)"

    def __init__(self, state: FreshnessState) -> None:
        super().__init__(state)
        self.tokens: Sequence[int] = () if state.ids is None else tuple(unpack_ids(state.ids))
        self._fresh = set(unpack_ids(state.fresh))
        self._failed = {reason: set(unpack_ids(packed)) for reason, packed in state.failed.items()}
        self._is_pass_complete = True
        self._has_unreadable = False

    async def poll(self, api: Poller, usage: Usage, limit: SpendingLimit, wait: Wait) -> None:
        """Ask once for every token that is not proven yet, a hundred with each call; choose a sample before it."""
        state = self.state
        if state.ids is None:
            await self._choose_sample(api, usage, limit, wait)
        elif not state.rounds and self.tokens:
            price = price_of_poll(len(self.tokens))
            wait.check_spending(price, "to ask for each of them once costs {price:,}")
            words = "%s: waiting for %s to be newer than %s"
            wait.log.info(words, wait.subject, plural(len(self.tokens), "token"), isoformat(state.fresh_since))
        # The wait itself is the retry of a poll, since each attempt is billed. The first poll is worth more, and so is
        # the rest of a pass whose first call was answered.
        attempts = 1 if state.rounds else api.settings.max_attempts
        self._is_pass_complete = False
        try:
            while self._why_unreachable() is None and (positions := self._next_positions()):
                call = endpoints.get_nft_metadata_batch(
                    state.contract_address,
                    [self.tokens[position] for position in positions],
                    api.settings,
                    uri_timeout_ms=0,  # what the service has in its cache: others refresh
                )
                found = await api.send(
                    call, usage=usage, max_attempts=attempts, spending_limit=limit, deadline=wait.call_deadline
                )
                self._apply(positions, found)
                if found.unreadable:
                    log_unreadable(wait.log, wait.subject, found.unreadable, is_first=not self._has_unreadable)
                    self._has_unreadable = True
                attempts = api.settings.max_attempts
            state.next_position, self._is_pass_complete = 0, True
        finally:
            state.fresh = pack_ids(sorted(self._fresh))
            state.failed = {reason: pack_ids(sorted(found)) for reason, found in self._failed.items() if found}

    def is_done(self) -> bool:
        if self.state.ids is None:
            return False
        if len(self._fresh) >= self._needed():
            return True
        error = self._why_unreachable()
        if error is not None and self._is_pass_complete:
            raise error
        return False

    def milestone(self) -> Any:
        return self.state.digest, self.state.fresh, self.state.status == FINISHED

    def is_accepted(self) -> bool:
        """Whether the tokens are chosen: the triggerer reads no list."""
        return self.state.ids is not None

    def may_wait_out(self, error: AlchemyError) -> bool:  # noqa: ARG002 - the base's
        """Whether the tokens are chosen: a list that is read again is paid for again."""
        return self.state.ids is not None

    def counts(self) -> FreshCounts:
        tokens, fresh = len(self.tokens), len(self._fresh)
        failed = sum(map(len, self._failed.values()))
        lost = sum(len(found) for reason, found in self._failed.items() if reason in _FINAL)
        return FreshCounts(tokens, fresh, tokens - fresh - failed, failed, lost)

    def describe(self) -> str:
        if self.state.ids is None:
            return "the collection's tokens were not known"
        counts = self.counts()
        return (
            f"{counts.fresh:,} of {counts.tokens:,} tokens were newer than {isoformat(self.state.fresh_since)} "
            f"({counts.stale:,} not, {counts.failed:,} with an error)"
        )

    def log_progress(self, log: Log, subject: str) -> None:
        state, counts, percent = self.state, self.counts(), self._percent()
        is_complete = counts.fresh == counts.tokens and state.logged_progress < 100  # noqa: PLR2004 - percent
        has_moved = math.floor(percent) >= state.logged_progress + LOGGED_PROGRESS_STEP or is_complete
        if has_moved:
            state.logged_progress = percent
        write = log.info if has_moved else log.debug
        write("%s: %s of %s tokens proven fresh", subject, f"{counts.fresh:,}", f"{counts.tokens:,}")

    def result(self) -> dict[str, Any]:
        state, counts = self.state, self.counts()
        shown = self.tokens if state.sample_size is not None else self.tokens[:LISTED_TOKENS]
        return {
            **state.result(),
            "progress": self._percent(),
            "fresh_since": isoformat(state.fresh_since),
            "seed": state.seed,
            "token_ids": [str(token_id) for token_id in shown],
            "counts": {name: getattr(counts, name) for name in ("tokens", "fresh", "stale", "failed")},
            "failures": {
                reason: {
                    "tokens": len(found),
                    "token_ids": [str(self.tokens[position]) for position in sorted(found)[:LISTED_FAILURES]],
                }
                for reason, found in sorted(self._failed.items())
                if found
            }
            | endpoints.failures_of_list(state.unreadable, state.unlisted),
        }

    def _needed(self) -> int:
        return needed_of(self.state.min_fresh, len(self.tokens))

    def _percent(self) -> float:
        """Give how many are proven, in percent, rounded down: 100 are all of them."""
        counts = self.counts()
        tenths = 1000 * counts.fresh // counts.tokens if counts.tokens else 1000
        return tenths // 10 if tenths % 10 == 0 else tenths / 10

    def _next_positions(self) -> Sequence[int]:
        ended = self._fresh.union(*(found for reason, found in self._failed.items() if reason in _FINAL))
        positions = range(self.state.next_position, len(self.tokens))
        return [position for position in positions if position not in ended][:MAX_TOKENS_PER_CALL]

    def _apply(self, positions: Sequence[int], found: dict[int, TokenMetadata]) -> None:
        """Note the answer of one call. A token that it leaves out is no better known than before."""
        self.state.failures, self.state.status = 0, WAITING
        for position in positions:
            metadata = found.get(self.tokens[position])
            for failed in self._failed.values():
                failed.discard(position)
            if metadata is not None and metadata.is_newer_than(self.state.fresh_since):
                self._fresh.add(position)
            elif metadata is not None and metadata.error is not None:
                self._failed.setdefault(metadata.error.value, set()).add(position)
            self.state.next_position = position + 1

    def _why_unreachable(self) -> AlchemyError | None:
        """Give the error where so many tokens have an error that stays that the rest is too few."""
        counts, needed = self.counts(), self._needed()
        if counts.tokens - counts.lost >= needed:
            return None
        if len(self._failed.get(MetadataError.NO_CODE, ())) == counts.tokens:
            return AlchemyNoSuchCollectionError("Alchemy says of every token that the contract does not have any code")
        reasons = "; ".join(self._named(reason) for reason in sorted(self._failed) if reason in _FINAL)
        what = (
            f"{counts.lost:,} of {counts.tokens:,} tokens have an error that stays, and min_fresh asks for {needed:,} "
            f"fresh ones: {reasons}"
        )
        advice = (
            "Have their contract or their metadata corrected, leave them out of token_ids, or lower min_fresh: waiting "
            "longer cannot help"
        )
        return AlchemyTokensFailedError(what, advice=advice, is_permanent=True)

    def _named(self, reason: str) -> str:
        found = sorted(self._failed[reason])
        named = ", ".join(str(self.tokens[position]) for position in found[:NAMED_TOKENS])
        more = f" and {len(found) - NAMED_TOKENS:,} more" if len(found) > NAMED_TOKENS else ""
        return f"{reason} {len(found):,} (token {named}{more})"

    async def _choose_sample(self, api: Poller, usage: Usage, limit: SpendingLimit, wait: Wait) -> None:
        state, settings = self.state, api.settings
        contract = await api.send(
            endpoints.get_contract_metadata(state.contract_address, settings),
            usage=usage,
            max_attempts=PAGE_ATTEMPTS,
            spending_limit=limit,
            deadline=wait.call_deadline,
        )
        contract.check_is_collection(wait.subject)
        supply = contract.total_supply
        size = state.sample_size or MAX_SAMPLE_SIZE
        price = price_of_listing(supply or 0)
        wait.check_spending(
            usage.compute_units + price + price_of_poll(min(supply or 0, size)),
            "a sample of its tokens and one poll cost {price:,}",
        )
        tokens = "its tokens" if supply is None else f"its {supply:,} tokens, for {price:,} compute units,"
        wait.log.info("%s: reading the list of %s for a sample", wait.subject, tokens)
        listed: dict[int, None] = {}
        keys, key, unreadable = endpoints.PageKeys(), None, 0
        while True:
            call = endpoints.get_nfts_for_contract(state.contract_address, settings, start_token=key)
            try:
                page = await api.send(
                    call,
                    usage=usage,
                    max_attempts=PAGE_ATTEMPTS,
                    spending_limit=limit,
                    deadline=wait.call_deadline,
                    retries_unexpected=True,
                )
            except AlchemySpendingLimitError:
                msg = (
                    f"the list of the collection's tokens goes on after {usage.compute_units:,} compute units, and "
                    f"max_compute_units is {wait.max_compute_units:,}"
                )
                advice = "Raise max_compute_units, or name the tokens with token_ids, which needs no list"
                raise AlchemySpendingLimitError(msg, subject=wait.subject, advice=advice) from None
            keys.check(page, wait.subject)
            unreadable += page.unreadable
            listed.update(dict.fromkeys(token.token_id for token in page.tokens))
            key = page.next_key
            if key is None:
                break
            # A listing that never ends must not outlast its task.
            wait.check_deadlines()
        if contract.supply_counts_tokens:
            state.unlisted = endpoints.missing_of(supply, len(listed) + unreadable, wait.subject)
        state.unreadable = unreadable
        if unreadable or state.unlisted:
            words = "%s: Alchemy lists %s; %d of its entries name no token, and %d of its supply are not listed"
            wait.log.warning(words, wait.subject, plural(len(listed), "token"), unreadable, state.unlisted)
        self.tokens = sample_of(listed, size, state.seed or 0)
        state.choose(self.tokens)
        # The service has answered: a host that cannot be found from now on is no unknown network.
        state.status = WAITING
        wait.log.info(
            "%s: waiting for %s of %s (a sample with seed %s) to be newer than %s",
            wait.subject,
            f"{len(self.tokens):,}",
            plural(len(listed), "token"),
            state.seed,
            isoformat(state.fresh_since),
        )


def sample_of(token_ids: Iterable[int], size: int, seed: int) -> tuple[int, ...]:
    """Give a sample that is the same for the same tokens and seed, in ascending order."""
    tokens = sorted(token_ids)
    chosen = random.Random(seed).sample(tokens, min(size, len(tokens)))  # noqa: S311 - repeatable, guards nothing
    return tuple(sorted(chosen))


def seed_of(*names: object) -> int:
    """Derive a seed from names, such as those of a DAG, its run and a task: the same in every process."""
    return int.from_bytes(hashlib.sha256("\n".join(map(str, names)).encode()).digest()[:_SEED_BYTES])


def needed_of(min_fresh: str, tokens: int) -> int:
    """Give how many of the tokens have to be fresh: a whole number (all, where there are fewer), or a share."""
    # As the decimal that the user wrote: 0.29 of 100 is 29, which the product of two floats is not.
    return min(int(min_fresh) if min_fresh.isdecimal() else math.ceil(Fraction(min_fresh) * tokens), tokens)
