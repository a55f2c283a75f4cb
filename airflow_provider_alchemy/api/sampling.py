# SPDX-License-Identifier: Apache-2.0
"""A sample of a collection that is read page by page: random, the same for the same seed, in the memory of a sample."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable

DEFAULT_SAMPLE_SIZE = 100
"""What one call of ``getNFTMetadataBatch`` takes: 480 compute units a poll."""

MOST_SAMPLED = 10_000
"""A sample travels through Airflow's database with each step of its task, and with the task's result."""

_SEED_BYTES = 6  # below 2**53: exact in every reader of JSON


class Reservoir:
    """
    A sample of ids that come one after the other, nobody knows how many (algorithm R).

    :param size: How many are wanted.
    :param seed: The same ids in the same order and the same seed give the same sample.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._random = random.Random(seed)  # noqa: S311 - it has to be repeatable, and guards nothing
        self._kept: list[int] = []
        self._known: set[int] = set()
        self.seen = 0
        """How many ids there were."""

    def add(self, ids: Iterable[int]) -> None:
        """
        Take the next ids.

        :param ids: The ids.
        """
        for token_id in ids:
            if token_id in self._known:
                continue  # a page that overlaps the one before it
            self.seen += 1
            if len(self._kept) < self._size:
                self._kept.append(token_id)
                self._known.add(token_id)
                continue
            place = self._random.randrange(self.seen)
            if place < self._size:
                self._known.remove(self._kept[place])
                self._known.add(token_id)
                self._kept[place] = token_id

    def sample(self) -> tuple[int, ...]:
        """Give the sample, in ascending order."""
        return tuple(sorted(self._kept))


def seed_of(*names: object) -> int:
    """
    Derive a seed, the same in every process.

    :param names: What the sample is to be the same for, such as a DAG, its run and a task.
    :return: The seed.
    """
    digest = hashlib.sha256("\n".join(map(str, names)).encode()).digest()
    return int.from_bytes(digest[:_SEED_BYTES])
