# SPDX-License-Identifier: Apache-2.0
"""
What a poller has to ask and in which order: the questions of all waits, by contract. No I/O, no sleep.

A wait asks one question at a time: how is this contract, when its next look is due? One call answers all questions
about its contract. Those that are due are ordered by rank: when they became due, less what their answer is worth.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from airflow_provider_alchemy.api.models import RefreshStatus
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage


@dataclass(slots=True, eq=False)
class Question:
    """
    What one wait wants to know.

    :param contract_address: The contract.
    :param due_at: When it is to be asked at the latest, in the clock of the event loop.
    :param rank: The lowest rank is asked first.
    :param usage: Counts the calls that were made for this question.
    :param spending_limit: What may be spent on it; None: any amount.
    :param answer: Gets the status, or what went wrong.
    :param place: The number of its place among those that sleep or are due, 0 where it has none; places that it has
        left stay behind.
    """

    contract_address: str
    due_at: float
    rank: float
    usage: Usage
    spending_limit: SpendingLimit | None
    answer: asyncio.Future[Any]
    place: int = 0

    def settle(self, outcome: RefreshStatus | BaseException) -> None:
        """
        Give the wait its answer, unless it has one or does not wait any more.

        :param outcome: The status, or what went wrong.
        """
        if self.answer.done():
            return
        if isinstance(outcome, RefreshStatus):
            self.answer.set_result(outcome)
        else:
            self.answer.set_exception(outcome)


@dataclass(slots=True)
class _Contract:
    questions: list[Question] = field(default_factory=list)
    is_being_asked: bool = False


class Agenda:
    """The questions of a poller."""

    def __init__(self) -> None:
        self._contracts: dict[str, _Contract] = {}
        self._sleeping: list[tuple[float, int, Question]] = []
        self._ready: list[tuple[float, int, Question]] = []
        self._numbers: Iterator[int] = count(1)
        self._open = 0

    def add(self, question: Question) -> bool:
        """
        Take a question.

        :param question: The question.
        :return: Whether it is due before all others that sleep.
        """
        self._contracts.setdefault(question.contract_address, _Contract()).questions.append(question)
        self._open += 1
        return self.put(question)

    def put(self, question: Question) -> bool:
        """
        Let a question that was added sleep until it is due.

        :param question: The question, its ``due_at`` and ``rank`` set.
        :return: Whether it is due before all others that sleep.
        """
        if len(self._sleeping) > 2 * self._open:
            # Waits that share a contract are answered before they are due, and leave their places behind.
            self._sleeping = [place for place in self._sleeping if _is_current(place)]
            heapq.heapify(self._sleeping)
        question.place = next(self._numbers)
        heapq.heappush(self._sleeping, (question.due_at, question.place, question))
        return self._sleeping[0][2] is question

    def remove(self, question: Question) -> None:
        """
        Let go of a question: it was answered, or its wait has ended.

        :param question: The question.
        """
        contract = self._contracts[question.contract_address]
        contract.questions.remove(question)
        question.place = 0
        self._open -= 1
        self._drop_if_idle(question.contract_address, contract)

    def next_due_at(self) -> float:
        """Give when the next sleeping question is due; infinity where none sleeps."""
        return self._sleeping[0][0] if self._sleeping else math.inf

    def best_rank(self, now: float) -> float | None:
        """
        Tell how urgent the most urgent question is.

        :param now: In the clock of the event loop.
        :return: Its rank; None where none is due.
        """
        while self._sleeping and (self._sleeping[0][0] <= now or not _is_current(self._sleeping[0])):
            place = heapq.heappop(self._sleeping)
            if _is_current(place):
                _, number, question = place
                heapq.heappush(self._ready, (question.rank, number, question))
        while self._ready and (not _is_current(self._ready[0]) or self._is_being_asked(self._ready[0][2])):
            heapq.heappop(self._ready)
        return self._ready[0][0] if self._ready else None

    def begin(self, now: float) -> Question | None:
        """
        Begin to ask the most urgent question; ``tell`` or ``put_off`` must follow for its contract.

        :param now: In the clock of the event loop.
        :return: The question; None where none is due.
        """
        if self.best_rank(now) is None:
            return None
        question = heapq.heappop(self._ready)[2]
        self._contracts[question.contract_address].is_being_asked = True
        return question

    def tell(self, contract_address: str, outcome: RefreshStatus | Exception, now: float) -> None:
        """
        Answer the questions about a contract.

        :param contract_address: The contract that was asked about.
        :param outcome: Its status, or what went wrong.
        :param now: In the clock of the event loop.
        """
        contract = self._ended(contract_address)
        for question in contract.questions:
            # A failed poll is the trouble of those that were due. A good answer is news for all.
            if isinstance(outcome, RefreshStatus) or question.due_at <= now:
                question.settle(outcome)

    def put_off(self, contract_address: str, now: float) -> None:
        """
        Ask about a contract once more: the call told nothing about it.

        :param contract_address: The contract that was asked about.
        :param now: In the clock of the event loop.
        """
        contract = self._ended(contract_address)
        for question in contract.questions:
            if question.due_at <= now:
                question.place = next(self._numbers)
                heapq.heappush(self._ready, (question.rank, question.place, question))

    def fail_all(self, error: BaseException) -> None:
        """
        Answer every question with an error.

        :param error: What went wrong.
        """
        for contract in self._contracts.values():
            for question in contract.questions:
                question.settle(error)

    def _is_being_asked(self, question: Question) -> bool:
        # A contract that is being asked will tell all who wait for it, whatever comes.
        return self._contracts[question.contract_address].is_being_asked

    def _ended(self, contract_address: str) -> _Contract:
        contract = self._contracts[contract_address]
        contract.is_being_asked = False
        self._drop_if_idle(contract_address, contract)
        return contract

    def _drop_if_idle(self, contract_address: str, contract: _Contract) -> None:
        if not contract.questions and not contract.is_being_asked:
            del self._contracts[contract_address]


def _is_current(place: tuple[float, int, Question]) -> bool:
    _, number, question = place
    return number == question.place and not question.answer.done()
