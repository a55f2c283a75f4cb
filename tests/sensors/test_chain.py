# SPDX-License-Identifier: Apache-2.0
"""What the sensor of new tokens reads of the chain, and what it makes of it: the same in each of its modes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.conftest import TaskLog
from tests.sensors.minting import (
    BLOCK,
    CONFIRMATIONS,
    FIRST,
    RESULT_KEYS,
    are_read_once,
    has_looked,
    mint,
    sensor_in,
    spent,
    windows_of,
)
from tests.tasks.lives import ADDRESS, LOWER, MODES, OTHER_ADDRESS, Life, failure, late_once, once

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("mode", MODES)]

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
ZERO = "0x" + 64 * "0"


@pytest.fixture(autouse=True)
def blocks_on_command(emulator: AlchemyEmulator) -> None:
    emulator.configure(block_seconds=None)


class TestWhatItReturns:
    def test_it_has_exactly_the_documented_keys(self, mode: str, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])

        assert set(Life().lead(sensor_in(mode, since_block=FIRST))) == RESULT_KEYS

    def test_it_names_collection_network_and_state(self, mode: str, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])

        result = Life().lead(sensor_in(mode, since_block=FIRST))

        assert [result[key] for key in ("contract_address", "network", "state", "progress")] == [
            LOWER,
            "eth-mainnet",
            "finished",
            None,
        ]

    def test_it_names_all_tokens_in_the_order_of_their_numbers(self, mode: str, emulator: AlchemyEmulator) -> None:
        mint(emulator, [10, 9, 2**255])
        mint(emulator, [100, 8])

        result = Life().lead(sensor_in(mode, since_block=FIRST))

        assert (result["token_ids"], result["token_count"]) == (["8", "9", "10", "100", str(2**255)], 5)

    def test_the_next_wait_begins_after_the_last_block_that_was_read(
        self, mode: str, emulator: AlchemyEmulator
    ) -> None:
        mint(emulator, [1])
        first = Life().lead(sensor_in(mode, since_block=FIRST))
        mint(emulator, [2])

        second = Life().lead(sensor_in(mode, since_block=first["next_block"]))

        assert (first["since_block"], first["until_block"], first["next_block"]) == (FIRST, FIRST + 1, FIRST + 2)
        assert second["token_ids"] == ["2"]

    def test_polls_and_units_are_those_that_the_service_counted(self, mode: str, emulator: AlchemyEmulator) -> None:
        with once(has_looked(emulator, 3), lambda: mint(emulator, [1])):
            result = Life().lead(sensor_in(mode))

        assert (result["polls"], result["compute_units"]) == spent(emulator)

    def test_it_says_when_the_waiting_began_and_ended(self, mode: str, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])
        before = datetime.now(UTC).isoformat()

        result = Life().lead(sensor_in(mode, since_block=FIRST))

        assert before < result["submitted_at"] < result["finished_at"] < datetime.now(UTC).isoformat()


class TestWhereItBegins:
    def test_without_a_word_it_begins_at_the_newest_block(self, mode: str, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])
        newest = mint(emulator, [2], confirmations=0)

        with once(has_looked(emulator, 2), lambda: mint(emulator, [3])):
            result = Life().lead(sensor_in(mode, min_tokens=2))

        assert (result["since_block"], result["token_ids"]) == (newest, ["2", "3"])

    @pytest.mark.parametrize("block", [FIRST + 5, str(FIRST + 5), hex(FIRST + 5)])
    def test_a_block_is_inclusive(self, mode: str, block: int | str, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])
        assert mint(emulator, [2]) == FIRST + 5

        result = Life().lead(sensor_in(mode, since_block=block))

        assert (result["since_block"], result["token_ids"]) == (FIRST + 5, ["2"])

    def test_a_block_that_is_still_to_come_is_waited_for(self, mode: str, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])

        def reach_it() -> None:
            mint(emulator, [2])
            mint(emulator, [3])

        with once(has_looked(emulator, 2), reach_it):
            result = Life().lead(sensor_in(mode, since_block=FIRST + 9))

        assert (result["since_block"], result["token_ids"]) == (FIRST + 9, ["3"])

    def test_a_moment_is_the_first_block_that_is_not_before_it(self, mode: str, emulator: AlchemyEmulator) -> None:
        began = datetime.now(UTC)
        mint(emulator, [1])

        result = Life().lead(sensor_in(mode, since=began - timedelta(minutes=10)))

        # A block each twelve seconds before the first.
        assert (FIRST - result["since_block"], result["token_ids"]) == (50, ["1"])
        assert emulator.count(BLOCK) <= 12

    def test_a_block_of_the_same_second_is_not_before_a_moment(self, mode: str, emulator: AlchemyEmulator) -> None:
        moment = datetime.now(UTC).replace(microsecond=999_999)
        block = mint(emulator, [1])

        result = Life().lead(sensor_in(mode, since=moment))

        assert (result["since_block"] <= block, result["token_ids"]) == (True, ["1"])

    def test_a_moment_before_the_chain_is_its_first_block(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.configure(first_block=100)
        mint(emulator, [1])

        assert Life().lead(sensor_in(mode, since="1999-01-01T00:00:00Z"))["since_block"] == 0

    def test_a_moment_that_is_still_to_come_is_waited_for(self, mode: str, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])
        moment = datetime.now(UTC) + timedelta(seconds=2)

        def reach_it() -> None:
            mint(emulator, [2])

        with once(lambda: datetime.now(UTC) > moment + timedelta(seconds=1), reach_it):
            result = Life().lead(sensor_in(mode, since=moment))

        assert result["token_ids"] == ["2"]
        assert result["since_block"] >= FIRST + CONFIRMATIONS + 2

    def test_a_moment_in_a_time_zone_is_the_same_moment(self, mode: str, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])
        moment = datetime.now(UTC) - timedelta(hours=1)

        blocks = {
            Life().lead(sensor_in(mode, since=since))["since_block"]
            for since in (moment, moment.astimezone().isoformat(), moment.isoformat(" "))
        }

        assert len(blocks) == 1


class TestWhatCounts:
    def test_tokens_are_waited_for(self, mode: str, emulator: AlchemyEmulator) -> None:
        with once(has_looked(emulator, 3), lambda: mint(emulator, [7])):
            result = Life().lead(sensor_in(mode))

        assert (result["token_ids"], emulator.count() > 3) == (["7"], True)

    def test_a_block_counts_once_enough_others_follow(self, mode: str, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1], confirmations=CONFIRMATIONS - 1)

        with once(has_looked(emulator, 3), emulator.mine_blocks):
            result = Life().lead(sensor_in(mode, since_block=FIRST))

        assert (result["token_ids"], emulator.count("eth_blockNumber") >= 3) == (["1"], True)

    def test_by_default_a_block_waits_for_a_minute_of_blocks_of_its_network_which_the_log_names(
        self, mode: str, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        emulator.mint(ADDRESS, [7])
        emulator.mine_blocks(239)

        with once(has_looked(emulator, 3), emulator.mine_blocks):
            result = Life().lead(
                sensor_in(mode, network="arb-mainnet", since_block=FIRST + 1, confirmations=None, min_tokens=1)
            )

        assert (result["token_ids"], result["until_block"]) == (["7"], FIRST + 1)
        assert "a block counts once it is followed by 240 blocks, some 60 s of arb-mainnet" in task_log()

    def test_a_mint_that_a_reorganisation_removes_is_never_told(self, mode: str, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1], confirmations=1)

        def reorganise() -> None:
            emulator.reorganise(2)
            mint(emulator, [2])

        with once(has_looked(emulator, 2), reorganise):
            result = Life().lead(sensor_in(mode, since_block=FIRST))

        assert result["token_ids"] == ["2"]

    def test_transfers_between_owners_burns_and_other_contracts_are_no_mints(
        self, mode: str, emulator: AlchemyEmulator
    ) -> None:
        emulator.transfer(ADDRESS, 1)
        emulator.transfer(ADDRESS, 2, to="0x" + 40 * "0")
        emulator.mint(OTHER_ADDRESS, [3])
        emulator.reveal(ADDRESS, [4])
        mint(emulator, [5])

        assert Life().lead(sensor_in(mode, since_block=FIRST))["token_ids"] == ["5"]

    def test_a_token_that_is_minted_twice_counts_once(self, mode: str, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])
        mint(emulator, [1])

        with once(has_looked(emulator, 2), lambda: mint(emulator, [2])):
            result = Life().lead(sensor_in(mode, since_block=FIRST, min_tokens=2))

        assert result["token_ids"] == ["1", "2"]

    def test_logs_that_do_not_decode_are_skipped_with_one_warning(
        self, mode: str, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        with emulator.one_block():
            emulator.emit_log(ADDRESS, [TRANSFER, ZERO])
            emulator.emit_log(ADDRESS, [TRANSFER, ZERO, ZERO], "0x12")
            emulator.emit_log(ADDRESS, [TRANSFER, ZERO, ZERO, "0x12"])
        mint(emulator, [1])

        assert Life().lead(sensor_in(mode, since_block=FIRST))["token_ids"] == ["1"]
        log = task_log()  # which has each line twice before Airflow 3.1
        assert log.count("Skipping a log of contract") == log.count("finished, 1 new token") > 0

    @pytest.mark.parametrize("event", ["TransferSingle", "TransferBatch", "ConsecutiveTransfer"])
    def test_mints_of_other_standards_count(self, mode: str, event: Any, emulator: AlchemyEmulator) -> None:
        emulator.mint(ADDRESS, [2**256 - 2, 2**256 - 1], by=event)
        emulator.mine_blocks(CONFIRMATIONS)

        result = Life().lead(sensor_in(mode, since_block=FIRST, min_tokens=2))

        assert result["token_ids"] == [str(2**256 - 2), str(2**256 - 1)]

    def test_a_token_in_the_data_of_its_transfer_counts_with_one_warning(
        self, mode: str, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        emulator.emit_log(ADDRESS, [TRANSFER], ZERO + f"{0xA1:064x}" + f"{7:064x}")
        emulator.emit_log(ADDRESS, [TRANSFER], ZERO + f"{0xA1:064x}" + f"{8:064x}")
        emulator.mine_blocks(CONFIRMATIONS)

        assert Life().lead(sensor_in(mode, since_block=FIRST, min_tokens=2))["token_ids"] == ["7", "8"]
        log = task_log()  # which has each line twice before Airflow 3.1
        assert log.count("has the token in the data") == log.count("finished, 2 new tokens") > 0

    def test_an_address_that_never_logs_ends_with_the_timeout(
        self, mode: str, emulator: AlchemyEmulator, clock: time_machine.Traveller
    ) -> None:
        mint(emulator, [1])

        with late_once(has_looked(emulator, 2), clock):
            error = failure(sensor_in(mode, contract_address=OTHER_ADDRESS, since_block=FIRST))

        assert isinstance(error, AirflowSensorTimeout)
        told = f"0 new tokens in blocks {FIRST:,} to {FIRST + 1:,} when the task's timeout was over"
        assert told in str(error)
        assert "Check that the contract mints on this network" in str(error)


class TestWhatIsAsked:
    def test_a_node_that_is_behind_and_says_so_is_polled_again(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.configure(lag_blocks=10, lag_form="refused")
        mint(emulator, [7])

        # Each newest block comes from the other node, until this one has caught up.
        with once(has_looked(emulator, 3), lambda: emulator.configure(lag_blocks=0)):
            result = Life().lead(sensor_in(mode, since_block=FIRST))

        assert (result["token_ids"], windows_of(emulator)) == (["7"], [(FIRST, FIRST + 1)])

    def test_blocks_that_take_too_long_are_read_in_smaller_parts(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.configure(max_block_range=3, range_refusal="timeout")
        mint(emulator, [7])
        emulator.mine_blocks(6)

        assert Life().lead(sensor_in(mode, since_block=FIRST))["token_ids"] == ["7"]
        assert are_read_once(windows_of(emulator), FIRST, FIRST + 7)

    def test_no_block_is_read_twice(self, mode: str, emulator: AlchemyEmulator) -> None:
        for _ in range(3):
            emulator.mine_blocks(10)
            with once(has_looked(emulator, emulator.count("eth_blockNumber") + 2), lambda: mint(emulator, [1])):
                pass
        emulator.mine_blocks(20)

        with once(has_looked(emulator, 2), lambda: mint(emulator, [1, 2])):
            result = Life().lead(sensor_in(mode, since_block=FIRST + 7, min_tokens=2))

        assert are_read_once(windows_of(emulator), FIRST + 7, result["until_block"])

    def test_an_idle_look_asks_for_the_newest_block_only(self, mode: str, emulator: AlchemyEmulator) -> None:
        with once(has_looked(emulator, 4), lambda: mint(emulator, [1])):
            result = Life().lead(sensor_in(mode))

        assert windows_of(emulator) == [(FIRST, result["until_block"])]

    @pytest.mark.parametrize("refusal", ["hint", "plain", "ok"])
    def test_a_limit_of_ten_blocks_is_learnt(self, mode: str, refusal: str, emulator: AlchemyEmulator) -> None:
        emulator.configure(max_block_range=10, range_refusal=refusal)
        mint(emulator, [1])
        emulator.mine_blocks(101)
        mint(emulator, [2])

        result = Life().lead(sensor_in(mode, since_block=FIRST))

        assert (result["token_ids"], result["until_block"]) == (["1", "2"], FIRST + 106)
        if refusal != "ok":  # whose refusals have the status of an answer
            assert are_read_once(windows_of(emulator), FIRST, FIRST + 106)

    def test_a_mint_with_more_logs_than_an_answer_may_have_is_read_in_parts(
        self, mode: str, emulator: AlchemyEmulator
    ) -> None:
        emulator.configure(max_logs=100)
        for start in range(0, 500, 50):
            emulator.mint(ADDRESS, range(start, start + 50))
        emulator.mine_blocks(CONFIRMATIONS)

        assert Life().lead(sensor_in(mode, since_block=FIRST))["token_count"] == 500

    def test_nodes_that_are_behind_are_no_failure_and_lose_nothing(
        self, mode: str, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        emulator.configure(lag_blocks=5)
        mint(emulator, [1], confirmations=8)

        with once(has_looked(emulator, 5), lambda: mint(emulator, [2, 3], confirmations=8)):
            result = Life().lead(sensor_in(mode, since_block=FIRST, confirmations=6, min_tokens=3))

        assert result["token_ids"] == ["1", "2", "3"]
        assert are_read_once(windows_of(emulator), FIRST, result["until_block"])
        assert "Poll failed" not in task_log()
