# SPDX-License-Identifier: Apache-2.0
"""What is asked and in which order: by contract, by worth, fairly. No client and no clock."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from itertools import pairwise

import pytest
from airflow_provider_alchemy.api.agenda import Agenda, Question
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.errors import AlchemyServerError
from airflow_provider_alchemy.api.models import RefreshState, RefreshStatus
from airflow_provider_alchemy.api.usage import Usage

NEWS = RefreshStatus(contract_address="0xa", network="eth-mainnet", state=RefreshState.QUEUED)
TROUBLE = AlchemyServerError("Alchemy answered HTTP 500")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that never runs: futures want one."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture
def agenda() -> Agenda:
    return Agenda()


def question(loop: asyncio.AbstractEventLoop, contract: str, due_at: float, *, head_start: float = 0.0) -> Question:
    return Question(contract, due_at, due_at - head_start, Usage(), None, loop.create_future())


def asked(agenda: Agenda, now: float) -> str | None:
    found = agenda.begin(now)
    return found.contract_address if found else None


class TestTheOrder:
    def test_nothing_is_asked_before_it_is_due(self, agenda: Agenda, loop: asyncio.AbstractEventLoop) -> None:
        agenda.add(question(loop, "0xa", 10))

        assert asked(agenda, 9.9) is None

    def test_what_became_due_first_is_asked_first(self, agenda: Agenda, loop: asyncio.AbstractEventLoop) -> None:
        for contract, due_at in (("0xc", 3.0), ("0xa", 1.0), ("0xb", 2.0)):
            agenda.add(question(loop, contract, due_at))

        assert [asked(agenda, 5) for _ in range(3)] == ["0xa", "0xb", "0xc"]

    def test_what_is_worth_more_goes_before_what_became_due_earlier(
        self, agenda: Agenda, loop: asyncio.AbstractEventLoop
    ) -> None:
        agenda.add(question(loop, "0xa", 1.0))
        agenda.add(question(loop, "0xb", 3.0, head_start=5.0))

        assert asked(agenda, 5) == "0xb"

    def test_its_head_start_makes_nothing_due_earlier(self, agenda: Agenda, loop: asyncio.AbstractEventLoop) -> None:
        agenda.add(question(loop, "0xb", 3.0, head_start=5.0))

        assert asked(agenda, 2.9) is None

    def test_a_head_start_starves_nobody(self, agenda: Agenda, loop: asyncio.AbstractEventLoop) -> None:
        agenda.add(question(loop, "0xa", 0.0))
        order = []
        for now in range(10):
            # One that is always worth more, and asked again each second.
            agenda.add(question(loop, "0xb", float(now), head_start=5.0))
            order.append(asked(agenda, float(now)))
            agenda.tell(str(order[-1]), NEWS, float(now))

        assert "0xa" in order

    def test_it_tells_when_the_next_is_due(self, agenda: Agenda, loop: asyncio.AbstractEventLoop) -> None:
        agenda.add(question(loop, "0xa", 7))

        assert agenda.next_due_at() == 7

    def test_nothing_is_due_where_nothing_is_asked(self, agenda: Agenda) -> None:
        assert agenda.next_due_at() == math.inf

    def test_it_tells_whether_a_question_is_the_next(self, agenda: Agenda, loop: asyncio.AbstractEventLoop) -> None:
        assert [
            agenda.add(question(loop, contract, due)) for contract, due in (("0xa", 5), ("0xb", 9), ("0xc", 2))
        ] == [
            True,
            False,
            True,
        ]

    @given(
        st.lists(st.floats(0, 5), min_size=2, max_size=12),
        st.floats(0.01, 3),
        st.integers(20, 60),
    )
    def test_none_is_asked_twice_while_another_with_the_same_claim_has_not_been_asked(
        self, first_due: list[float], seconds_for_a_call: float, calls: int
    ) -> None:
        loop = asyncio.new_event_loop()
        agenda, now = Agenda(), 0.0
        order: list[str] = []
        for number, due_at in enumerate(first_due):
            agenda.add(question(loop, f"0x{number}", due_at))
        while len(order) < calls:
            now = now if agenda.best_rank(now) is not None else agenda.next_due_at()
            found = agenda.begin(now)
            assert found is not None
            now += seconds_for_a_call
            order.append(found.contract_address)
            agenda.tell(found.contract_address, NEWS, now)
            agenda.remove(found)
            agenda.add(question(loop, found.contract_address, now + 5.0))
        loop.close()

        for contract in set(order):
            turns = [position for position, other in enumerate(order) if other == contract]
            for begin, end in pairwise(turns):
                assert len(set(order[begin:end])) == len(first_due)


class TestOneCallForAll:
    def test_a_contract_is_asked_once_for_all_who_wait(self, agenda: Agenda, loop: asyncio.AbstractEventLoop) -> None:
        for _ in range(3):
            agenda.add(question(loop, "0xa", 1))

        assert [asked(agenda, 5), asked(agenda, 5)] == ["0xa", None]

    def test_a_good_answer_reaches_those_that_were_not_due(
        self, agenda: Agenda, loop: asyncio.AbstractEventLoop
    ) -> None:
        due, sleeping = question(loop, "0xa", 1), question(loop, "0xa", 100)
        agenda.add(due)
        agenda.add(sleeping)
        agenda.begin(5)

        agenda.tell("0xa", NEWS, 6)

        assert [due.answer.result(), sleeping.answer.result()] == [NEWS, NEWS]

    def test_a_failed_call_is_the_trouble_of_those_that_were_due(
        self, agenda: Agenda, loop: asyncio.AbstractEventLoop
    ) -> None:
        due, meanwhile, sleeping = (question(loop, "0xa", due_at) for due_at in (1, 5.5, 100))
        for one in (due, meanwhile, sleeping):
            agenda.add(one)
        agenda.begin(5)

        agenda.tell("0xa", TROUBLE, 6)

        assert [one.answer.done() for one in (due, meanwhile, sleeping)] == [True, True, False]
        assert (due.answer.exception(), meanwhile.answer.exception()) == (TROUBLE, TROUBLE)

    def test_what_is_put_off_is_asked_again(self, agenda: Agenda, loop: asyncio.AbstractEventLoop) -> None:
        agenda.add(question(loop, "0xa", 1))
        agenda.begin(5)

        agenda.put_off("0xa", 6)

        assert asked(agenda, 6) == "0xa"

    def test_what_is_put_off_keeps_its_place(self, agenda: Agenda, loop: asyncio.AbstractEventLoop) -> None:
        agenda.add(question(loop, "0xa", 1))
        agenda.begin(5)
        agenda.add(question(loop, "0xb", 2))

        agenda.put_off("0xa", 6)

        assert asked(agenda, 6) == "0xa"


class TestWhatIsLeft:
    def test_a_wait_that_ended_is_not_asked_for(self, agenda: Agenda, loop: asyncio.AbstractEventLoop) -> None:
        gone = question(loop, "0xa", 1)
        agenda.add(gone)
        gone.answer.cancel()
        agenda.remove(gone)

        assert asked(agenda, 5) is None

    def test_an_answer_for_nobody_does_no_harm(self, agenda: Agenda, loop: asyncio.AbstractEventLoop) -> None:
        gone = question(loop, "0xa", 1)
        agenda.add(gone)
        agenda.begin(5)
        gone.answer.cancel()
        agenda.remove(gone)

        agenda.tell("0xa", NEWS, 6)

        assert agenda.begin(6) is None

    def test_questions_that_are_answered_early_do_not_pile_up(
        self, agenda: Agenda, loop: asyncio.AbstractEventLoop
    ) -> None:
        for number in range(1000):
            often, rarely = question(loop, "0xa", number), question(loop, "0xa", 10**6)
            agenda.add(often)
            agenda.add(rarely)
            agenda.begin(number)
            agenda.tell("0xa", NEWS, number)
            agenda.remove(often)
            agenda.remove(rarely)

        assert len(agenda._sleeping) + len(agenda._ready) < 20

    def test_all_learn_of_a_poller_that_broke(self, agenda: Agenda, loop: asyncio.AbstractEventLoop) -> None:
        waiting = [question(loop, contract, 100) for contract in ("0xa", "0xb")]
        for one in waiting:
            agenda.add(one)

        agenda.fail_all(TROUBLE)

        assert [one.answer.exception() for one in waiting] == [TROUBLE, TROUBLE]
