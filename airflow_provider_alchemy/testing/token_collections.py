# SPDX-License-Identifier: Apache-2.0
"""Collections of tokens as functions of time: when each token's metadata was refreshed, asked at a given moment.

Nothing runs in the background: a refresh is the moment at which it will have happened. A collection of any size
costs nothing until its tokens are refreshed, and then a few bytes for each.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from math import inf
from typing import NamedTuple

from airflow_provider_alchemy.testing.sparse_times import SparseTimes
from airflow_provider_alchemy.testing.token_plans import FROM_TOKENS, CollectionPlan, TokenPlan

UNKNOWN_TOKEN = "Token does not exist"  # nosec B105 # noqa: S105 -- a sentence about a token of a collection
NO_CODE = "Contract does not have any code"


class TokenView(NamedTuple):
    """What one answer says of a token: the text of ``raw.error``, None where all is well, and the last refresh."""

    error: str | None
    updated_at: float


class Collection:
    """One contract and what was asked of its tokens.

    :param plan: what it holds, and how long a refresh takes.
    """

    def __init__(self, plan: CollectionPlan) -> None:
        self.plan = plan
        self.ids: Sequence[int] = plan.ids
        self._updated = SparseTimes(plan.last_updated)
        self._due = SparseTimes(inf)
        self._queued = SparseTimes(-inf)
        self._special: dict[int, TokenPlan] = {}
        self._stale_refreshes: Counter[int] = Counter()
        self._error_answers: Counter[int] = Counter()

    @property
    def total_supply(self) -> str | None:
        """The text of ``totalSupply``."""
        if not self.plan.token_type.is_nft:
            return None
        return str(len(self.ids)) if self.plan.total_supply is FROM_TOKENS else self.plan.total_supply

    def set_tokens(self, token_ids: Iterable[int], plan: TokenPlan) -> None:
        """Make tokens special, or like any other again; what was counted of them is forgotten.

        :param token_ids: the tokens.
        :param plan: what is special about them.
        :raises ValueError: an id that is not in the collection.
        """
        chosen = tuple(token_ids)
        for token_id in chosen:
            if self._position(token_id) is None:
                msg = f"token_ids must be in the collection; {token_id} is not"
                raise ValueError(msg)
        for token_id in chosen:
            self._stale_refreshes.pop(token_id, None)
            self._error_answers.pop(token_id, None)
            self._special[token_id] = plan

    def grow(self, tokens: int) -> None:
        """Add tokens at the end, with the ids that follow the last one.

        :param tokens: how many.
        :raises ValueError: the contract is no NFT.
        """
        if not self.plan.token_type.is_nft:
            msg = f"A contract of the type {self.plan.token_type} has no tokens to add to"
            raise ValueError(msg)
        if isinstance(self.ids, range):
            self.ids = range(self.ids.start, self.ids.stop + tokens)
            return
        following = self.ids[-1] + 1 if self.ids else self.plan.first_id
        self.ids = [*self.ids, *range(following, following + tokens)]

    def add(self, token_ids: Iterable[int]) -> None:
        """Let tokens exist from now on, as when somebody mints them; what is no NFT gets none.

        :param token_ids: the tokens; those that exist already stay as they are.
        """
        new = sorted({token_id for token_id in token_ids if self._position(token_id) is None})
        if not new or not self.plan.token_type.is_nft:
            return
        if isinstance(self.ids, range) and new == [*range(self.ids.stop, self.ids.stop + len(new))]:
            self.ids = range(self.ids.start, self.ids.stop + len(new))
            return
        before, self.ids = self.ids, sorted([*self.ids, *new])
        if before and new[0] < before[-1]:
            # What is remembered of a token stands at its position, and that moved.
            moves = [(position, bisect_left(self.ids, token_id)) for position, token_id in enumerate(before)]
            self._updated, self._due, self._queued = (
                times.rearranged(moves) for times in (self._updated, self._due, self._queued)
            )

    def from_id(self, start: int, most: int) -> Sequence[int]:
        """Give the ids from one on, in ascending order, up to a number of them."""
        position = bisect_left(self.ids, start)
        return self.ids[position : position + most]

    def look(self, token_id: int, now: float) -> TokenView:
        """Tell what an answer says of a token, without any effect.

        :param token_id: the token, whether or not it exists.
        :param now: seconds since the epoch.
        :return: its error and its last refresh.
        """
        position = self._position(token_id)
        if position is None:
            return TokenView(UNKNOWN_TOKEN if self.plan.token_type.is_nft else NO_CODE, self.plan.last_updated)
        due = self._due[position]
        return TokenView(self._error(token_id), due if due <= now else self._updated[position])

    def refresh(self, token_id: int, now: float, speed: float) -> TokenView:
        """Do what a call with ``refreshCache`` does, and tell what its answer says.

        :param token_id: the token, whether or not it exists.
        :param now: seconds since the epoch.
        :param speed: the seconds of the plan are divided by it.
        :return: its error and its last refresh.
        """
        position = self._position(token_id)
        if position is not None:
            self._refresh(token_id, position, now, self.plan.refresh_seconds / speed)
        view = self.look(token_id, now)
        if view.error is not None and token_id in self._special:
            self._error_answers[token_id] += 1
        return view

    def queue(self, token_id: int, now: float, speed: float, rule_seconds: float) -> bool:
        """Do what ``refreshNftMetadata`` does.

        :param token_id: the token, whether or not it exists.
        :param now: seconds since the epoch.
        :param speed: the seconds of the plan and of the rule are divided by it.
        :param rule_seconds: for how long after a call for this token another one does nothing.
        :return: False if this call does nothing by that rule.
        """
        position = self._position(token_id)
        if position is None:
            return True
        if now - self._queued[position] < rule_seconds / speed:
            return False
        self._queued[position] = now
        self._refresh(token_id, position, now, self.plan.queue_seconds / speed)
        return True

    def _position(self, token_id: int) -> int | None:
        position = bisect_left(self.ids, token_id)
        return position if position < len(self.ids) and self.ids[position] == token_id else None

    def _error(self, token_id: int) -> str | None:
        plan = self._special.get(token_id)
        if plan is None or plan.error is None:
            return None
        is_over = plan.error_answers is not None and self._error_answers[token_id] >= plan.error_answers
        return None if is_over else plan.error

    def _refresh(self, token_id: int, position: int, now: float, delay: float) -> None:
        if self._special and not self._takes_effect(token_id):
            return
        due = self._due[position]
        if due <= now:
            self._updated[position], self._due[position] = due, inf
        if delay <= 0:
            self._updated[position] = now
        else:
            # A refresh that is asked for while another is on its way is over with the earlier of the two: both
            # are later than either request.
            self._due[position] = min(self._due[position], now + delay)

    def _takes_effect(self, token_id: int) -> bool:
        plan = self._special.get(token_id)
        if plan is None:
            return True
        if plan.stale or self._error(token_id) is not None:
            return False
        if self._stale_refreshes[token_id] < plan.stale_refreshes:
            self._stale_refreshes[token_id] += 1
            return False
        return True


class CollectionBoard:
    """The collections by network and lower-case contract address; one that nobody planned is as the defaults say."""

    def __init__(self) -> None:
        self._collections: dict[tuple[str, str], Collection] = {}
        self._unplanned = Collection(CollectionPlan())

    def set(self, network: str, address: str, plan: CollectionPlan) -> None:
        """Put a collection in its place; what was there before is forgotten, with its refreshes."""
        self._collections[network, address.lower()] = Collection(plan)

    def find(self, network: str, address: str) -> Collection:
        """Give the collection at an address, to look at only: nothing is kept of what was asked."""
        return self._collections.get((network, address.lower()), self._unplanned)

    def get(self, network: str, address: str) -> Collection:
        """Give the collection at an address, to change it."""
        place = (network, address.lower())
        if place not in self._collections:
            self._collections[place] = Collection(CollectionPlan())
        return self._collections[place]
