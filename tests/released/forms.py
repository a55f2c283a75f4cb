# SPDX-License-Identifier: Apache-2.0
"""
One example of everything that goes through Airflow's database: triggers, their events, saved states, cursors.

``python -m tests.released.forms`` writes them to the file of the version in work.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_provider_alchemy.api.errors import AlchemyQueueFailedError
from airflow_provider_alchemy.api.inputs import read_contracts
from airflow_provider_alchemy.api.packing import pack_ids
from airflow_provider_alchemy.chain.block_search import BlockSearch
from airflow_provider_alchemy.chain.events import ChainLog, EventKind, payloads_of
from airflow_provider_alchemy.chain.watch import AssetCursors, slot_of
from airflow_provider_alchemy.tokens.proof import Chunk, TokenSet
from airflow_provider_alchemy.tokens.state import CollectionState
from airflow_provider_alchemy.triggers.batch import ReingestContractsTrigger
from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger
from airflow_provider_alchemy.triggers.reingest import ReingestTrigger
from airflow_provider_alchemy.triggers.wait import FreshnessTrigger, NewTokensTrigger, NextAttemptTrigger, WaitEnd
from airflow_provider_alchemy.waits.batch import BatchState
from airflow_provider_alchemy.waits.freshness import WAITING, FreshnessState
from airflow_provider_alchemy.waits.interval import progress_after
from airflow_provider_alchemy.waits.new_tokens import NewTokensState
from airflow_provider_alchemy.waits.reingest import ReingestState
from airflow_provider_alchemy.waits.wait import to_json

FILE = Path(__file__).parent / "1.0.json"

CONTRACTS = tuple(f"0x{number:040x}" for number in range(1, 4))
CONTRACT, NETWORK = CONTRACTS[0], "eth-mainnet"
BEGAN_AT = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
BLOCK = 20_000_000

_KNOWN: dict[str, Any] = {
    "network": NETWORK,
    "started_at": BEGAN_AT,
    "deadline": BEGAN_AT + timedelta(days=36_500),
    "execution_deadline": BEGAN_AT + timedelta(days=36_500),
    "submitted_at": BEGAN_AT,
    "polls": 3,
    "compute_units": 1_440,
    "usd_per_million_units": 0.45,
    "rounds": 3,
    "failures": 1,
    "logged_progress": 20,
}


def waits() -> dict[str, Any]:
    """Give a state of each wait, by the key under which a task saves it."""
    progress = progress_after(None, BEGAN_AT, None, is_queued=True)
    for minutes, percent in ((1, 10), (2, 30)):
        progress = progress_after(progress, BEGAN_AT + timedelta(minutes=minutes), percent, is_queued=False)
    return {
        "alchemy_reingest": ReingestState(
            contract_address=CONTRACT,
            status="in_progress",
            reported_state="in_progress",
            logged_state="in_progress",
            percent=30,
            progress=progress,
            queue_failures=1,
            max_resubmits=3,
            **_KNOWN,
        ),
        "alchemy_batch": BatchState(
            contracts=len(CONTRACTS),
            digest=read_contracts(CONTRACTS).digest(NETWORK),
            duplicates=1,
            already_finished=1,
            finished=pack_ids([0]),
            failed={"queue_failed": pack_ids([1])},
            running=pack_ids([2]),
            **_KNOWN,
        ),
        "alchemy_freshness": FreshnessState(
            contract_address=CONTRACT,
            status=WAITING,
            fresh_since=BEGAN_AT,
            min_fresh="0.5",
            seed=7,
            sample_size=4,
            ids=pack_ids([1, 2, 3, 9]),
            digest="0" * 32,
            fresh=pack_ids([0]),
            failed={"token_uri_timeout": pack_ids([1])},
            next_position=2,
            **_KNOWN,
        ),
        "alchemy_new_tokens": NewTokensState(
            contract_address=CONTRACT,
            status=WAITING,
            min_tokens=2,
            confirmations=3,
            asked_block=BLOCK,
            asked_time=BEGAN_AT,
            search=BlockSearch(BEGAN_AT.timestamp(), BLOCK, BLOCK + 100, ((BLOCK, 1.0), (BLOCK + 100, 1_200.0)), 1),
            since_block=BLOCK,
            next_block=BLOCK + 50,
            ids=pack_ids([7]),
            is_behind=True,
            **_KNOWN,
        ),
    }


def tokens() -> CollectionState:
    """Give the state of a refresh of tokens."""
    state = CollectionState.begin(CONTRACT, NETWORK)
    open_tokens = TokenSet.of(range(100, 150), asked_at=BEGAN_AT, queued_at=BEGAN_AT, reason="stale")
    state.supply, state.tokens, state.refreshed, state.next_key = 200, 200, 98, "0x64"
    state.todo, state.unproven, state.failed = [TokenSet.of([1])], [open_tokens], [TokenSet.of([2], reason="stale")]
    state.in_flight = [Chunk((TokenSet.of([3]),), BEGAN_AT)]
    state.next_at, state.submitted_at, state.polls, state.compute_units = BEGAN_AT, BEGAN_AT, 3, 1_440
    return state


def triggers() -> list[Any]:
    """Give a trigger of each kind."""
    states = {key: to_json(state) for key, state in waits().items()}
    return [
        ReingestTrigger(CONTRACT, NETWORK, state=states["alchemy_reingest"]),
        ReingestContractsTrigger(CONTRACTS, states["alchemy_batch"]),
        FreshnessTrigger(states["alchemy_freshness"]),
        NewTokensTrigger(states["alchemy_new_tokens"]),
        NextAttemptTrigger(BEGAN_AT.isoformat()),
        MetadataUpdateTrigger([CONTRACT], NETWORK, events=["metadata", "mint"], start_block=BLOCK),
    ]


def forms() -> dict[str, Any]:
    """Give all of it as JSON values."""
    error = AlchemyQueueFailedError("Alchemy could not queue the refresh", subject=CONTRACT, http_status=200)
    cursors = AssetCursors()
    cursors.put(slot_of(NETWORK, [EventKind.METADATA.value], 3), {CONTRACT: BLOCK})
    log = ChainLog(BLOCK, 3, f"0x{7:064x}", CONTRACT, EventKind.METADATA, ((1, 2),))
    found = {
        "triggers": [trigger.serialize() for trigger in triggers()],
        "saved": {
            key: {"first_try": 1, "try_number": 2, "state": state}
            for key, state in {
                **{key: to_json(state) for key, state in waits().items()},
                "alchemy_collection": tokens().to_dict(),
            }.items()
        },
        "ends": [end.value for end in WaitEnd],
        "error": error.to_dict(),
        "alchemy_chain": cursors.to_json(),
        "chain_event": payloads_of(NETWORK, [log])[0],
    }
    as_json: dict[str, Any] = json.loads(json.dumps(found))
    return as_json


def write() -> None:
    """Write the file."""
    FILE.write_text(json.dumps(forms(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
