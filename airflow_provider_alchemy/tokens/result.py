# SPDX-License-Identifier: Apache-2.0
"""What a refresh costs and comes to: its price, the lines of its log, its result, error and report. No I/O."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Any

from airflow_provider_alchemy.api.endpoints import (
    REFRESH_NFT_METADATA,
    failures_of_list,
    price_of_listing,
    price_of_poll,
)
from airflow_provider_alchemy.api.errors import (
    AlchemyError,
    AlchemySpendingLimitError,
    AlchemyTokensFailedError,
)
from airflow_provider_alchemy.api.inputs import allowed_failures
from airflow_provider_alchemy.api.logs import Log, log_unreadable, plural
from airflow_provider_alchemy.api.models import RefreshState
from airflow_provider_alchemy.api.usage import describe_cost
from airflow_provider_alchemy.tokens.proof import STALE, TokenSet, count
from airflow_provider_alchemy.tokens.state import CollectionState, Method, Stage
from airflow_provider_alchemy.waits.wait import isoformat

MAX_NAMED_IDS = 100
"""Token ids that the result names for each reason."""

LOG_STEP_PERCENT = 10


def price_of(tokens: int, method: Method, *, is_listed: bool) -> int:
    """Give the compute units of a refresh that asks for each token once."""
    units = price_of_poll(tokens)
    if method is Method.QUEUE:
        units += tokens * REFRESH_NFT_METADATA.compute_units
    return units + (price_of_listing(tokens) if is_listed else 0)


def price_of_rest(state: CollectionState) -> int | None:
    """Give the compute units of what was not asked for yet; None where the number of tokens is not known."""
    if not state.is_read and state.supply is None:
        return None
    unread = 0 if state.is_read else max((state.supply or 0) - state.tokens, 0)
    tokens = unread + state.remaining
    if state.stage is Stage.DONE or (state.is_read and not tokens):
        return 0
    return price_of(tokens, state.method, is_listed=not (state.is_read or state.digest))


def check_price(what: str, price: int | None, spent: int, max_compute_units: int | None, subject: str) -> None:
    """Refuse a refresh that would cost too much, before it begins; an unknown price counts on the way."""
    if price is None or max_compute_units is None or spent + price <= max_compute_units:
        return
    known = f", {spent:,} are spent" if spent else ""
    msg = f"{what} {price:,} compute units{known}, and max_compute_units is {max_compute_units:,}"
    advice = (
        f"Raise max_compute_units to {spent + price:,} at least, or refresh fewer tokens with token_ids; nothing was "
        "refreshed for it"
    )
    raise AlchemySpendingLimitError(msg, subject=subject, advice=advice)


class RefreshLog:
    """The lines that people read while a collection is refreshed."""

    def __init__(self, log: Log, subject: str) -> None:
        self._log = log
        self._subject = subject
        self._logged_percent = 0
        self._refusals = self._failures = 0
        self._has_unreadable = False

    def log_price(self, state: CollectionState, price: int | None) -> None:
        if price is None:
            self._log.info(
                "%s: Alchemy does not say how many tokens there are, so the price of their refresh is not known: 1,080 "
                "compute units for each hundred with method 'batch', 5,080 with 'queue'",
                self._subject,
            )
            return
        tokens = state.remaining + (0 if state.is_read else max((state.supply or 0) - state.tokens, 0))
        self._log.info(
            "%s: refreshing %s with method %r costs %s, more where some have to be tried again%s",
            self._subject,
            plural(tokens, "token"),
            state.method.value,
            describe_cost(price, state.usd_per_million_units),
            f"; {state.refreshed:,} are proven fresh already" if state.refreshed else "",
        )

    def log_progress(self, state: CollectionState) -> None:
        expected = max(state.supply or state.tokens, state.tokens)
        if state.attempt > 1 or not expected or not (state.supply or state.is_read):
            return
        percent = 100 * state.answered // expected
        if percent >= self._logged_percent + LOG_STEP_PERCENT:
            self._logged_percent = percent - percent % LOG_STEP_PERCENT
            self._log.info(
                "%s: %d %%, %s tokens asked for, %s proven fresh, %s",
                self._subject,
                percent,
                f"{state.answered:,}",
                f"{state.refreshed:,}",
                state.cost,
            )

    def log_stage(self, state: CollectionState, now: datetime) -> None:
        if state.stage is Stage.DONE:
            return
        verb = {Stage.REFRESH: "refreshing", Stage.QUEUE: "queueing", Stage.PROVE: "checking the proof of"}
        self._log.info(
            "%s: %s %s in %.0f s (attempt %d): %s",
            self._subject,
            verb[state.stage],
            plural(state.remaining, "token"),
            max((state.next_at - now).total_seconds(), 0.0) if state.next_at else 0.0,
            state.attempt,
            count_reasons(state.todo),
        )

    def log_failure(self, tokens: int, error: AlchemyError) -> None:
        """Log a call that failed for all its tokens: the first is a warning."""
        self._failures += 1
        log = self._log.warning if self._failures == 1 else self._log.debug
        log("A call for %s failed and is tried again: %s", plural(tokens, "token"), error)

    def log_refusal(self, token_id: int, error: AlchemyError) -> None:
        """Log a token that the service did not queue: the first is a warning."""
        self._refusals += 1
        log = self._log.warning if self._refusals == 1 else self._log.debug
        log("Token %d was not queued, perhaps because it was refreshed minutes ago: %s", token_id, error)

    def log_unreadable(self, entries: int, subject: str) -> None:
        if entries:
            log_unreadable(self._log, subject, entries, is_first=not self._has_unreadable)
            self._has_unreadable = True

    def log_unlisted(self, unlisted: int, listed: int) -> None:
        if unlisted:
            self._log.warning(
                "%s: Alchemy lists %s, %s fewer than the contract's supply; they may be burned",
                self._subject,
                plural(listed, "token"),
                f"{unlisted:,}",
            )

    def log_summary(self, state: CollectionState) -> None:
        if not state.tokens:
            self._log.info("%s: there is no token to refresh", self._subject)
        self._log.info(
            "%s: %s of %s tokens refreshed and proven%s, after %.1f s, %s calls, %s",
            self._subject,
            f"{state.refreshed:,}",
            f"{state.tokens:,}",
            f", {count_reasons(state.failed)}" if state.failed else "",
            _duration_seconds(state) or 0.0,
            f"{state.polls:,}",
            state.cost,
        )


def count_reasons(token_sets: Iterable[TokenSet]) -> str:
    """Count tokens by reason, the most frequent first: ``300 stale, 2 ipfs_timeout``."""
    counts: Counter[str] = Counter()
    for tokens in token_sets:
        counts[tokens.reason or "not asked for yet"] += tokens.count
    return ", ".join(f"{number:,} {reason}" for reason, number in counts.most_common())


def result_of(state: CollectionState) -> dict[str, Any]:
    """Give what the task returns; ``RefreshCollectionOperator`` describes it."""
    return {
        **state.result(),
        "state": (RefreshState.FINISHED if state.stage is Stage.DONE else RefreshState.IN_PROGRESS).value,
        "progress": 100 * state.refreshed // state.tokens if state.tokens else 100,
        "already_finished": False,
        "method": state.method.value,
        "counts": {
            "tokens": state.tokens,
            "refreshed": state.refreshed,
            "stale": state.stale,
            "failed": count(state.failed) - state.stale,
        },
        "failures": {**failures_of(state.failed), **failures_of_list(state.unreadable, state.unlisted)},
        "duration_seconds": _duration_seconds(state),
    }


def failures_of(token_sets: Iterable[TokenSet]) -> dict[str, dict[str, Any]]:
    by_reason: defaultdict[str, list[TokenSet]] = defaultdict(list)
    for tokens in token_sets:
        by_reason[tokens.reason].append(tokens)
    return {
        reason: {
            "tokens": count(found),
            # As texts: they may be larger than a number of JSON.
            "token_ids": list(map(str, islice(chain.from_iterable(one.token_ids for one in found), MAX_NAMED_IDS))),
        }
        for reason, found in by_reason.items()
    }


def error_of(state: CollectionState, max_failed: float, subject: str) -> AlchemyTokensFailedError | None:
    """Give the error of a refresh that left more tokens unproven than ``max_failed`` allows."""
    allowed = allowed_failures(max_failed, state.tokens)
    failed, final = count(state.failed), count(tokens for tokens in state.failed if tokens.is_final)
    if failed <= allowed:
        return None
    shown = f"{max_failed}" if isinstance(max_failed, int) else f"{max_failed:g} of them, {allowed:,}"
    msg = (
        f"{failed:,} of {state.tokens:,} tokens are not proven fresh ({count_reasons(state.failed)}); max_failed "
        f"allows {shown}"
    )
    return AlchemyTokensFailedError(msg, subject=subject, is_permanent=final > allowed)


def report_lines(state: CollectionState) -> Iterator[str]:
    for tokens in state.failed:
        known = {
            "state": STALE if tokens.reason == STALE else "failed",
            "reason": tokens.reason,
            "is_final": tokens.is_final,
            "requested_at": isoformat(tokens.asked_at),
        }
        for token_id in tokens.token_ids:
            yield json.dumps({"token_id": str(token_id), **known}) + "\n"


def _duration_seconds(state: CollectionState) -> float | None:
    if state.submitted_at is None or state.finished_at is None:
        return None
    return round((state.finished_at - state.submitted_at).total_seconds(), 3)
