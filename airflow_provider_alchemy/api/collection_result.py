# SPDX-License-Identifier: Apache-2.0
"""What the refresh of a collection comes to: the result, whether it is good enough, and the full list. No I/O."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from pendulum import UTC, DateTime

from airflow_provider_alchemy.api.batches import allowed_failures
from airflow_provider_alchemy.api.collection_log import tell_reasons
from airflow_provider_alchemy.api.collection_record import CollectionRecord, Stage
from airflow_provider_alchemy.api.errors import AlchemyTokensFailedError
from airflow_provider_alchemy.api.models import RefreshState
from airflow_provider_alchemy.api.records import read_moment
from airflow_provider_alchemy.api.token_groups import STALE, TokenGroup, count

MOST_IDS = 100
"""Token ids that the result names for each reason."""


def result_of(record: CollectionRecord) -> dict[str, Any]:
    """
    Give what the task returns.

    :param record: The refresh.
    :return: ``contract_address, network, state, progress, already_finished, submitted_at, finished_at, polls,
        compute_units`` as everywhere else (``progress``: percent of the tokens that are proven fresh), and ``method``,
        ``counts`` (``tokens, refreshed, stale, failed``), ``failures`` (reason to ``tokens`` and up to 100
        ``token_ids``) and ``duration_seconds``.
    """
    began, ended = read_moment(record.submitted_at), read_moment(record.finished_at)
    is_done = record.stage is Stage.DONE
    return {
        "contract_address": record.contract_address,
        "network": record.network,
        "state": (RefreshState.FINISHED if is_done else RefreshState.IN_PROGRESS).value,
        "progress": 100 * record.refreshed // record.tokens if record.tokens else 100,
        "already_finished": False,
        "submitted_at": record.submitted_at,
        "finished_at": record.finished_at,
        "polls": record.polls,
        "compute_units": record.compute_units,
        "method": record.method.value,
        "counts": {
            "tokens": record.tokens,
            "refreshed": record.refreshed,
            "stale": record.stale,
            "failed": count(record.failed) - record.stale,
        },
        "failures": failures_of(record.failed),
        "duration_seconds": round((ended - began).total_seconds(), 3) if began and ended else None,
    }


def failures_of(groups: Iterable[TokenGroup]) -> dict[str, dict[str, Any]]:
    """
    Count tokens by what is wrong with them, and name some.

    :param groups: The tokens.
    :return: Reason to ``tokens`` (their number) and ``token_ids`` (up to 100, decimal).
    """
    by_reason: defaultdict[str, list[TokenGroup]] = defaultdict(list)
    for group in groups:
        by_reason[group.reason].append(group)
    return {
        reason: {
            "tokens": count(found),
            "token_ids": [
                str(token_id) for token_id in islice(chain.from_iterable(group.token_ids for group in found), MOST_IDS)
            ],
        }
        for reason, found in by_reason.items()
    }


def error_of(record: CollectionRecord, max_failed: float, subject: str) -> AlchemyTokensFailedError | None:
    """
    Tell whether too many tokens are not proven fresh.

    :param record: The refresh.
    :param max_failed: How many may be: an int is their number, a float their share.
    :param subject: What was refreshed, for the error.
    :return: The error; None where all is well.
    """
    allowed = allowed_failures(max_failed, record.tokens)
    failed, final = count(record.failed), count(group for group in record.failed if group.is_final)
    if failed <= allowed:
        return None
    shown = f"{max_failed}" if isinstance(max_failed, int) else f"{max_failed:g} of them, {allowed:,}"
    msg = (
        f"{failed:,} of {record.tokens:,} tokens are not proven fresh ({tell_reasons(record.failed)}); max_failed "
        f"allows {shown}"
    )
    return AlchemyTokensFailedError(msg, subject=subject, is_permanent=final > allowed)


def report_lines(record: CollectionRecord) -> Iterator[str]:
    """
    Give the full list of tokens that are not proven fresh.

    :param record: The refresh.
    :return: JSON lines: ``token_id`` (decimal text), ``state`` (``stale`` or ``failed``), ``reason``, ``is_final``,
        ``requested_at`` (ISO 8601, the first request for its refresh; null where none was sent).
    """
    for group in record.failed:
        asked = None if group.asked_at is None else DateTime.fromtimestamp(group.asked_at, UTC).isoformat()
        known = {
            "state": STALE if group.reason == STALE else "failed",
            "reason": group.reason,
            "is_final": group.is_final,
            "requested_at": asked,
        }
        for token_id in group.token_ids:
            yield json.dumps({"token_id": str(token_id), **known}) + "\n"
