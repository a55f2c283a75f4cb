# SPDX-License-Identifier: Apache-2.0
"""
What each cell of the matrix must show, from the design and from Alchemy's documents: not from the package's own rules.

A cell is named by what the task or trigger ends with: ``ok``, or its exception without ``Alchemy`` and ``Error``. With
an exclamation mark Airflow does not retry it (``AirflowFailException``, ``AirflowSensorTimeout``). In brackets stands
the reason by which the result of a task about many things counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.faults.catalogue import Fault, Phase, Turn

REINGEST = "reingestContract"
METADATA, LISTING = "getContractMetadata", "getNFTsForContract"
BATCH, QUEUE = "getNFTMetadataBatch", "refreshNftMetadata"
NEWEST, LOGS, BLOCK = "eth_blockNumber", "eth_getLogs", "eth_getBlockByNumber"

IMPOSSIBLE = {
    # Only the refresh of a contract has a state.
    "unknown state": {METADATA, LISTING, BATCH, QUEUE, NEWEST, LOGS, BLOCK},
    # These answers do not name the contract.
    "other contract": {QUEUE, NEWEST, LOGS, BLOCK},
}
"""Faults that cannot happen to the answers of an endpoint."""

HARMLESS = {
    # A contract's name and supply are nice to have: who refreshes its tokens reads the list of them.
    ("wrong types", METADATA),
}
"""Faults that spoil nothing that anybody needs."""

OK = "ok"
TOLD_LATER = "held up"
"""A watcher says once what is wrong, goes on, and tells what happened as soon as the service is well."""

Ends = tuple[str, str]
"""What is shown where the fault passes, and where it stays; ``{error}`` and ``{reason}`` are the fault's own."""

FAILS = ("{error}", "{error}")
FAILS_FOR_GOOD = ("{error}!", "{error}!")
WAITS_IT_OUT = (OK, "{error}")


@dataclass(frozen=True)
class Habit:
    """
    How a kind of task or trigger takes faults.

    :param by_turn: What it ends with, by whose turn it is.
    :param otherwise: The same for single faults, by their names, where there is a reason for it.
    """

    by_turn: Mapping[Turn, Ends]
    otherwise: Mapping[str, Ends] = field(default_factory=dict)

    def end(self, fault: Fault, endpoint: str, phase: Phase) -> str | None:
        """
        Give what a cell must show.

        :param fault: The fault.
        :param endpoint: The endpoint whose calls it hits.
        :param phase: How long it lasts.
        :return: The end; None: that cannot happen.
        """
        if endpoint in IMPOSSIBLE.get(fault.name, ()):
            return None
        turn = Turn.NOBODYS if (fault.name, endpoint) in HARMLESS else fault.turn
        ends = self.by_turn[turn] if turn is Turn.NOBODYS else self.otherwise.get(fault.name, self.by_turn[turn])
        return ends[phase is Phase.STAYS].format(error=fault.error, reason=fault.reason)


def _at(ends: Ends, *names: str) -> dict[str, Ends]:
    return dict.fromkeys(names, ends)


_BUSY = ("429 error", "429 jsonrpc", "429 text", "429 html", "429 retry in 1 s", "429 retry at a date")

_USUAL: dict[Turn, Ends] = {
    Turn.NOBODYS: (OK, OK),
    Turn.OURS: WAITS_IT_OUT,
    Turn.USERS: FAILS_FOR_GOOD,
    Turn.AUTHORS: FAILS,
    Turn.PENDING: (OK, "Deadline!"),
}
"""The three kinds of errors of the design; and a state that nobody knows is pending until the deadline."""

WAIT = Habit(_USUAL, _at((OK, "Deadline!"), *_BUSY))
"""A 429 is the account's and no failure of a wait, wherever it runs: it tries on until its own time is over."""
SINGLE = Habit(_USUAL)
SUBMISSION = Habit({**_USUAL, Turn.PENDING: (OK, OK)})
"""Who does not wait takes any answer that is no refusal for an acceptance."""


CONTRACTS = Habit(
    {
        **_USUAL,
        # One contract's trouble does not end the others: the batch ends when all have, and its result says how.
        Turn.OURS: (OK, "ContractsFailed({reason})"),
        Turn.AUTHORS: ("ContractsFailed({reason})", "ContractsFailed({reason})"),
    },
    {
        **WAIT.otherwise,
        # A request that is refused may be the fault of this contract alone; key, month, endpoint and network are the
        # account's or the connection's, and stop the batch.
        **_at(("ContractsFailed(request)!", "ContractsFailed(request)!"), "400", "413"),
    },
)

CONTRACTS_TRIGGER = Habit(
    {
        **_USUAL,
        # What the task makes of the contracts that failed is the worker's to say.
        Turn.OURS: (OK, "ContractsFailed({reason})"),
        Turn.USERS: FAILS,
        Turn.AUTHORS: ("ContractsFailed({reason})", "ContractsFailed({reason})"),
        Turn.PENDING: (OK, "ContractsFailed(timeout)"),
    },
    {
        **_at((OK, "ContractsFailed(timeout)"), *_BUSY),
        **_at(("ContractsFailed(request)", "ContractsFailed(request)"), "400", "413"),
    },
)

# Hundreds of calls are one task: an answer that nobody knows is worth another attempt there, and one that stays is the
# trouble of these tokens.
TOKENS = Habit(
    {
        **_USUAL,
        Turn.OURS: (OK, "TokensFailed({reason})"),
        Turn.AUTHORS: (OK, "TokensFailed({reason})"),
    }
)
QUEUED_TOKENS = Habit(
    {
        **TOKENS.by_turn,
        # What could not be queued is read all the same: somebody else may have refreshed it. Nobody has.
        Turn.OURS: (OK, "TokensFailed(stale)"),
        Turn.AUTHORS: (OK, "TokensFailed(stale)"),
    },
    # How Alchemy words that a token was refreshed minutes ago is open: so a refusal is this token's, and reading tells
    # what it is worth. None of these was refreshed, and none is queued twice in 15 minutes.
    {
        **_at(("TokensFailed(stale)", "TokensFailed(stale)"), "400", "413"),
        # The service has done its work, only its answer was late: reading proves it.
        **_at((OK, OK), "too slow"),
        # An account that is refused for ten minutes may read no more than it may queue.
        **_at((OK, "TokensFailed({reason})"), *_BUSY),
    },
)
LISTED = Habit({**_USUAL, Turn.AUTHORS: WAITS_IT_OUT})
"""A page of a list is one of hundreds: an answer that nobody knows is worth another attempt too."""
LISTED_WAIT = Habit(LISTED.by_turn, WAIT.otherwise)

# How many blocks a call may span is open, and how a refusal is worded: one that does not say why is asked again, then
# for less, until there is nothing less to ask for.
CHAIN_LOGS = Habit(
    _USUAL, {**WAIT.otherwise, **_at((OK, "{error}!"), "400", "413"), **_at((OK, "{error}"), "422", "redirect")}
)

UNTOUCHED = Habit(dict.fromkeys(Turn, (OK, OK)))
"""Who asks the service nothing meets no fault."""

WATCHER = Habit(dict.fromkeys(Turn, (OK, TOLD_LATER)) | {Turn.NOBODYS: (OK, OK)})
"""Nothing that goes wrong with the service, the account or the connection ends a watcher."""


def told_by_trigger(habit: Habit) -> Habit:
    """
    Give what a trigger by itself ends with: the same errors, without what the worker makes of them for Airflow.

    :param habit: What its task ends with.
    :return: The same without exclamation marks.
    """

    def bare(ends: Ends) -> Ends:
        passes, stays = (end.rstrip("!") for end in ends)
        return passes, stays

    return Habit(
        {turn: bare(ends) for turn, ends in habit.by_turn.items()},
        {name: bare(ends) for name, ends in habit.otherwise.items()},
    )
