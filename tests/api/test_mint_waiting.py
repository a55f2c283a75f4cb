# SPDX-License-Identifier: Apache-2.0
"""The rules of a wait for new tokens: which blocks, which tokens, when it ends. No I/O."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.mint_record import MintRecord
from airflow_provider_alchemy.api.mint_waiting import MintWait
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.errors import AlchemyDeadlineError, AlchemyRequestError, AlchemyServerError
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.chain.events import ChainLog, EventKind

CONTRACT = "0xe9fca552b9eb110c2d170962af740725f71f5644"


def wait_of(begin: int | None = 100, deadline: str | None = None, **arguments: Any) -> MintWait:
    record = MintRecord(contract_address=CONTRACT, network="eth-mainnet", deadline=deadline)
    wait = MintWait(record, subject="Collection 0x", cadence=Cadence(interval_seconds=60), **arguments)
    if begin is not None:
        wait.begin_at(begin)
    return wait


def minted(token_id: int, block: int = 100) -> ChainLog:
    return ChainLog(block, 0, "0x" + 64 * "0", CONTRACT, EventKind.MINT, ((token_id, token_id),))


class TestWhichBlocks:
    @given(st.lists(st.integers(0, 500), max_size=30), st.integers(0, 20), st.integers(1, 40))
    def test_each_is_read_once_in_order_whatever_nodes_say_is_the_newest(
        self, newest: list[int], confirmations: int, most: int
    ) -> None:
        wait, read = wait_of(begin=50, confirmations=confirmations), list[int]()
        for block in newest:
            while (blocks := wait.next_blocks(block)) is not None:
                last = min(blocks[1], blocks[0] + most - 1)
                read += range(blocks[0], last + 1)
                wait.saw(last, [])

        assert read == list(range(50, max([50, *(block - confirmations + 1 for block in newest)])))

    def test_the_last_confirmed_one_counts(self) -> None:
        assert wait_of(begin=100, confirmations=12).next_blocks(112) == (100, 100)
        assert wait_of(begin=100, confirmations=12).next_blocks(111) is None


class TestItsEnd:
    def test_enough_tokens_end_it_once_all_is_read(self) -> None:
        wait = wait_of(min_tokens=2)
        wait.next_blocks(200)
        wait.saw(150, [minted(1), minted(2)])
        assert (wait.looked(Usage()), wait.is_over) == (0, False)

        wait.next_blocks(200)
        wait.saw(188, [])
        wait.next_blocks(200)
        assert (wait.looked(Usage()), wait.is_over, wait.record.state) == (None, True, "finished")

    def test_too_few_tokens_are_waited_for(self) -> None:
        wait = wait_of(min_tokens=2)
        wait.saw(100, [minted(1), minted(1)])

        assert wait.looked(Usage()) == 60

    def test_a_deadline_with_enough_tokens_is_a_good_end(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)
        wait = wait_of(deadline="2026-01-01T00:00:00+00:00")
        wait.next_blocks(200)
        wait.saw(150, [minted(1)])

        assert wait.looked(Usage()) is None
        assert (wait.record.result()["until_block"], wait.is_over) == (150, True)
        assert "not all confirmed blocks were read" in caplog.text

    def test_a_deadline_with_too_few_is_none(self) -> None:
        with pytest.raises(AlchemyDeadlineError, match="the newest block was not known when the task's timeout"):
            wait_of(begin=None, deadline="2026-01-01T00:00:00+00:00").looked(Usage())

    def test_a_failure_that_passes_is_waited_out_also_with_enough_tokens(self) -> None:
        wait = wait_of()
        wait.next_blocks(200)
        wait.saw(150, [minted(1)])

        delay = wait.failed(AlchemyServerError("busy"), Usage())

        assert delay is not None
        assert (delay >= 60, wait.is_over) == (True, False)

    def test_a_failure_that_stays_with_enough_tokens_is_a_good_end(self) -> None:
        wait = wait_of()
        wait.next_blocks(200)
        wait.saw(150, [minted(1)])

        assert wait.failed(AlchemyRequestError("no"), Usage()) is None

    def test_only_failures_in_a_row_end_it(self) -> None:
        wait = wait_of(max_consecutive_failures=1)
        for _ in range(3):
            wait.failed(AlchemyServerError("busy"), Usage())
            wait.looked(Usage())
        wait.failed(AlchemyServerError("busy"), Usage())

        with pytest.raises(AlchemyServerError):
            wait.failed(AlchemyServerError("busy"), Usage())
