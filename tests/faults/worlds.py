# SPDX-License-Identifier: Apache-2.0
"""What the service holds for each kind of wait, and how it bears out what a task returns: no task is just believed."""

from __future__ import annotations

import time
from typing import Any

import pendulum

from tests.faults.scene import Scene
from tests.sensors import minting
from tests.tasks.batches import contracts
from tests.tasks.lives import ADDRESS

POLL_SECONDS = 0.05
PAUSE_SECONDS = 1.0
"""Between two attempts of a token, where a pause must be long enough to be spent elsewhere."""

TOKENS = 3
CONTRACTS = 3


def job(scene: Scene) -> None:
    """Let refreshes take a moment."""
    scene.emulator.set_default_job(running_seconds=0.05)


def long_job(scene: Scene) -> None:
    """Let refreshes take longer than any cell."""
    scene.emulator.set_default_job(queued_seconds=3600)


def end_of_job(scene: Scene) -> None:
    """Let refreshes be over."""
    scene.emulator.set_default_job(running_seconds=0)


def is_finished(scene: Scene, result: Any) -> bool:
    """Whether the refresh has really ended."""
    ended_at = scene.emulator.finished_at(ADDRESS)
    return result["state"] == "finished" and ended_at is not None and ended_at <= time.time()


def is_submitted(_scene: Scene, result: Any) -> bool:
    """Whether the refresh was accepted."""
    return result["state"] in {"queued", "in_progress", "finished", "unknown"}


def all_are_finished(scene: Scene, result: Any) -> bool:
    """Whether all refreshes have really ended."""
    ends = [scene.emulator.finished_at(address) for address in contracts(CONTRACTS)]
    return result["counts"]["finished"] == CONTRACTS and all(end is not None and end <= time.time() for end in ends)


def tokens(scene: Scene) -> None:
    """Let a collection have tokens that refresh at once."""
    scene.emulator.set_collection(ADDRESS, tokens=TOKENS, queue_seconds=POLL_SECONDS)


def stale_tokens(scene: Scene) -> None:
    """Let the first refresh of each token change nothing."""
    tokens(scene)
    scene.emulator.set_tokens(ADDRESS, range(TOKENS), stale_refreshes=1)


def slow_tokens(scene: Scene) -> None:
    """Let queued tokens take a pause."""
    scene.emulator.set_collection(ADDRESS, tokens=TOKENS, queue_seconds=PAUSE_SECONDS)


def fresh_tokens(scene: Scene) -> None:
    """Let all tokens be refreshed just now."""
    scene.emulator.set_collection(ADDRESS, tokens=TOKENS, last_updated=time.time())


def are_refreshed(scene: Scene, result: Any) -> bool:
    """Whether every token is newer than the beginning."""
    begun = pendulum.parse(result["submitted_at"], exact=False).timestamp()  # type: ignore[union-attr]  # one moment
    updated = [scene.emulator.time_last_updated(ADDRESS, token_id) for token_id in range(TOKENS)]
    return bool(result["counts"]["refreshed"] == TOKENS) and min(updated) >= begun - 0.001


def are_fresh(_scene: Scene, result: Any) -> bool:
    """Whether all tokens were seen to be fresh."""
    return bool(result["state"] == "finished" and result["counts"]["fresh"] == TOKENS)


def mint(scene: Scene) -> None:
    """Mint the token that a wait is for."""
    # So many blocks that there is less to ask for.
    scene.emulator.mine_blocks(100)
    minting.mint(scene.emulator, [7])


def is_minted(_scene: Scene, result: Any) -> bool:
    """Whether the minted token was found."""
    return bool(result["state"] == "finished" and result["token_ids"] == ["7"])
