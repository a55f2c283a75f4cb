# SPDX-License-Identifier: Apache-2.0
"""What the DAGs of the chain's benchmark and those who measure them both know: names, networks and contracts."""

from __future__ import annotations

from dataclasses import dataclass

LATENCY, ONE, CROWD, ALONE, CATCH_UP, LOOP = "latency", "one", "crowd", "alone", "behind", "loop"
"""The DAGs; all but the last have watchers of the chain."""

NEVER = "never"
CONFIRMATIONS = 2


@dataclass(frozen=True)
class CatchUpSide:
    """
    A connection whose API limits how many blocks a call may span.

    :param limit: How many.
    :param refusal: What a refusal tells: ``hint``, a range that works, or ``plain``, none.
    """

    limit: int
    refusal: str

    @property
    def conn_id(self) -> str:
        """The connection, which names both."""
        return f"limit_{self.limit}_{self.refusal}"

    @classmethod
    def named(cls, conn_id: str) -> CatchUpSide:
        """
        Read a connection's name.

        :param conn_id: The name.
        :return: What it stands for.
        """
        _, limit, refusal = conn_id.split("_")
        return cls(int(limit), refusal)


def network_of(side: str, number: int = 0) -> str:
    """
    Name the chain of a side: one of its own, so that its calls can be told from others'.

    :param side: The DAG.
    :param number: Which of its chains.
    :return: The network's slug.
    """
    return f"{side}-net{number}"


def contracts_of(side: str, watcher: int, contracts: int) -> list[str]:
    """
    Name the contracts of a watcher; no other watcher has them.

    :param side: The DAG.
    :param watcher: Which of its watchers.
    :param contracts: How many contracts it has.
    :return: Their addresses.
    """
    prefix = int.from_bytes(side.encode()[:4])
    return [f"0x{(prefix << 64) + watcher * contracts + number:040x}" for number in range(contracts)]
