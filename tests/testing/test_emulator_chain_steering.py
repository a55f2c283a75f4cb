# SPDX-License-Identifier: Apache-2.0
"""What a test lets happen on the chain: announcements, blocks that hold several, reorganisations."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

import pytest
import time_machine
from eth_utils.crypto import keccak

from airflow_provider_alchemy.testing import AlchemyEmulator, ChainLog

from .conftest import ADDRESS, Rpc, Send, batch

OTHER = "0x" + "1" * 40
FIRST = 20_000_000


def topic(signature: str) -> str:
    return "0x" + keccak(text=signature).hex()


def words(log: ChainLog) -> list[int]:
    return [int(log.data[start : start + 64], 16) for start in range(2, len(log.data), 64)]


def padded(address: str) -> str:
    return "0x" + "0" * 24 + address[2:]


def test_a_reveal_announces_each_token(emulator: AlchemyEmulator) -> None:
    made = emulator.reveal(ADDRESS, [1, "0x10", str(2**200)])
    assert [log.topics for log in made] == [(topic("MetadataUpdate(uint256)"),)] * 3
    assert [words(log) for log in made] == [[1], [16], [2**200]]
    assert {(log.network, log.contract_address, log.block_number) for log in made} == {
        ("eth-mainnet", ADDRESS.lower(), FIRST + 1)
    }
    assert made == emulator.chain_logs()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made[0], "data", "0x")  # noqa: B010 -- written out, mypy refuses it as well


def test_many_tokens_are_revealed_in_several_transactions_of_one_block(emulator: AlchemyEmulator) -> None:
    made = emulator.reveal(ADDRESS, range(2500))
    assert {log.block_number for log in made} == {FIRST + 1}
    assert [log.log_index for log in made] == [*range(2500)]
    assert [log.transaction_index for log in made] == [0] * 1000 + [1] * 1000 + [2] * 500
    assert len({log.transaction_hash for log in made}) == 3
    assert len({log.id for log in made}) == 2500
    assert len({log.transaction_hash for log in emulator.reveal(ADDRESS, range(6), per_transaction=2)}) == 3


def test_a_batch_of_tokens_is_revealed_with_one_log(emulator: AlchemyEmulator) -> None:
    (made,) = emulator.reveal_batch(ADDRESS, 3, 2**256 - 1)
    assert made.topics == (topic("BatchMetadataUpdate(uint256,uint256)"),)
    assert words(made) == [3, 2**256 - 1]


@pytest.mark.parametrize("uri", ["", "ipfs://x", "x" * 32, "x" * 33, "ipfs://ü"])
def test_a_uri_is_announced_with_its_text_as_the_abi_writes_it(emulator: AlchemyEmulator, uri: str) -> None:
    (made,) = emulator.announce_uri(ADDRESS, 9, uri)
    assert made.topics == (topic("URI(string,uint256)"), f"0x{9:064x}")
    text = uri.encode()
    assert words(made)[:2] == [32, len(text)]
    assert bytes.fromhex(made.data[2 + 128 :]).rstrip(b"\0") == text
    assert (len(made.data) - 2) % 64 == 0


def test_a_mint_comes_from_nobody_and_a_transfer_does_not(emulator: AlchemyEmulator) -> None:
    (minted,) = emulator.mint(ADDRESS, [5], to=OTHER)
    (handed,) = emulator.transfer(ADDRESS, 5, sender=OTHER)
    name = topic("Transfer(address,address,uint256)")
    assert minted.topics == (name, padded("0x" + "0" * 40), padded(OTHER), f"0x{5:064x}")
    assert handed.topics[:2] == (name, padded(OTHER))
    assert handed.topics[2] not in minted.topics
    assert minted.data == handed.data == "0x"


def test_minted_tokens_exist_in_the_collection(emulator: AlchemyEmulator, send: Send) -> None:
    emulator.set_collection(ADDRESS, token_ids=[10, 20, 30])
    send("getNFTMetadataBatch", batch(20, refreshCache=True))
    refreshed_at = emulator.time_last_updated(ADDRESS, 20)
    emulator.mint(ADDRESS, [31, 15, 20])
    nfts = send("getNFTsForContract", contractAddress=ADDRESS).json()["nfts"]
    assert [nft["tokenId"] for nft in nfts] == ["10", "15", "20", "30", "31"]
    assert emulator.time_last_updated(ADDRESS, 20) == refreshed_at
    assert len({emulator.time_last_updated(ADDRESS, token) for token in (10, 15, 30, 31)}) == 1


def test_minted_tokens_follow_the_last_one_of_a_growing_collection(emulator: AlchemyEmulator) -> None:
    emulator.set_collection(ADDRESS, tokens=3)
    emulator.mint(ADDRESS, [3, 4])
    assert emulator._state.collections.find("eth-mainnet", ADDRESS).ids == range(5)
    emulator.mint(ADDRESS, [9])
    emulator.grow_collection(ADDRESS, 1)
    assert [*emulator._state.collections.find("eth-mainnet", ADDRESS).ids] == [0, 1, 2, 3, 4, 9, 10]


def test_what_is_no_nft_gets_no_tokens_from_its_logs(emulator: AlchemyEmulator) -> None:
    emulator.set_collection(ADDRESS, token_type="NO_SUPPORTED_NFT_STANDARD")
    assert len(emulator.mint(ADDRESS, [1])) == 1
    assert len(emulator._state.collections.find("eth-mainnet", ADDRESS).ids) == 0


def test_any_log_can_be_written_as_it_is(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.emit_log(ADDRESS, [], "not hex at all")
    emulator.emit_log(ADDRESS, [topic("MetadataUpdate(uint256)")], "0x07")
    found = rpc("eth_getLogs", {"fromBlock": "earliest"}).json()["result"]
    assert [(log["topics"], log["data"]) for log in found] == [
        ([], "not hex at all"),
        ([topic("MetadataUpdate(uint256)")], "0x07"),
    ]


def test_one_block_holds_what_is_announced_inside(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.configure(block_seconds=0.001)
    with emulator.one_block() as number:
        first = emulator.reveal(ADDRESS, [1, 2])
        second = emulator.mint(OTHER, [3])
        assert emulator.newest_block() == number - 1
        assert emulator.chain_logs() == ()
        assert int(rpc("eth_blockNumber").json()["result"], 16) == number - 1
    assert emulator.newest_block() >= number
    assert emulator.chain_logs() == first + second
    assert {log.block_number for log in first + second} == {number}
    assert [log.log_index for log in first + second] == [0, 1, 2]
    assert [log.transaction_index for log in first + second] == [0, 0, 1]


def test_one_block_is_mined_also_where_the_test_fails_inside(emulator: AlchemyEmulator) -> None:
    def fail() -> None:
        with emulator.one_block():
            emulator.reveal(ADDRESS, [1])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert len(emulator.chain_logs()) == 1
    assert emulator.mine_blocks() == FIRST + 2


def test_no_other_block_is_mined_while_one_is_open(emulator: AlchemyEmulator) -> None:
    with emulator.one_block(network="base-mainnet"):
        actions: list[Callable[[], object]] = [
            lambda: emulator.mine_blocks(network="base-mainnet"),
            lambda: emulator.reorganise(1, network="base-mainnet"),
            lambda: emulator.one_block(network="base-mainnet").__enter__(),
        ]
        for action in actions:
            with pytest.raises(ValueError, match="A block of base-mainnet is open"):
                action()
        assert emulator.mine_blocks() == FIRST + 1


def test_a_reorganisation_takes_logs_away(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    kept = emulator.reveal(ADDRESS, [1])
    emulator.reveal(ADDRESS, [2])
    emulator.mine_blocks()
    before = [rpc("eth_getBlockByNumber", hex(number), False).json()["result"] for number in range(FIRST, FIRST + 4)]
    assert emulator.reorganise(2) == ()
    after = [rpc("eth_getBlockByNumber", hex(number), False).json()["result"] for number in range(FIRST, FIRST + 4)]
    assert emulator.newest_block() == FIRST + 3
    assert emulator.chain_logs() == kept
    assert [old["hash"] == new["hash"] for old, new in zip(before, after, strict=True)] == [True, True, False, False]
    assert [one["parentHash"] for one in after[1:]] == [one["hash"] for one in after[:-1]]
    assert [log["data"] for log in rpc("eth_getLogs", {"fromBlock": "earliest"}).json()["result"]] == [kept[0].data]


def test_a_reorganisation_can_keep_the_transactions_in_another_order(emulator: AlchemyEmulator) -> None:
    with emulator.one_block():
        emulator.reveal(ADDRESS, [1, 2])
        emulator.reveal(OTHER, [3])
    (alone,) = emulator.reveal(OTHER, [4])
    before = emulator.chain_logs()
    made = emulator.reorganise(2, keep_logs=True)
    assert made == emulator.chain_logs()
    assert [words(log)[0] for log in made] == [3, 1, 2, 4]
    assert [log.log_index for log in made] == [0, 1, 2, 0]
    assert {log.transaction_hash for log in made} == {log.transaction_hash for log in before}
    assert not {log.block_hash for log in made} & {log.block_hash for log in before}
    assert made[-1].id == alone.id


def test_after_a_reorganisation_nothing_has_a_hash_again(emulator: AlchemyEmulator) -> None:
    seen: list[ChainLog] = []
    for depth in (1, 1, 3, 2, 1):
        seen += emulator.reveal(ADDRESS, [1])
        emulator.mine_blocks(2)
        emulator.reorganise(depth + 2)
        seen += emulator.reveal(ADDRESS, [1])
    assert len({log.block_hash for log in seen}) == len({log.transaction_hash for log in seen}) == 10


def test_the_same_steps_give_the_same_hashes(emulator: AlchemyEmulator) -> None:
    def steps() -> tuple[ChainLog, ...]:
        emulator.reveal(ADDRESS, [1])
        emulator.reorganise(1)
        return emulator.reveal(ADDRESS, [2])

    first = steps()
    emulator.reset()
    assert emulator.chain_logs() == ()
    assert steps() == first
    assert AlchemyEmulator(seed=1, block_seconds=None).reveal(ADDRESS, [2])[0].block_hash != first[0].block_hash


def test_a_change_of_pace_counts_from_the_change_on() -> None:
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        emulator = AlchemyEmulator(block_seconds=10, first_block=100)
        newest = [emulator.newest_block()]
        for seconds, pace in ((95, None), (1000, 5), (11, 20), (4, 1)):
            clock.shift(seconds)
            emulator.configure(block_seconds=pace)
            newest.append(emulator.newest_block())
    assert newest == [100, 109, 109, 111, 111]


def test_a_block_on_command_does_not_delay_those_that_come_by_themselves() -> None:
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        emulator = AlchemyEmulator(block_seconds=10, first_block=100)
        emulator.newest_block()
        clock.shift(9)
        emulator.reveal(ADDRESS, [1])
        emulator.mine_blocks()
        clock.shift(1)
        assert emulator.newest_block() == 103


def test_the_first_block_is_that_of_networks_nobody_asked_for(emulator: AlchemyEmulator) -> None:
    assert emulator.newest_block() == FIRST
    emulator.configure(first_block=5)
    assert (emulator.newest_block(), emulator.newest_block(network="base-mainnet")) == (FIRST, 5)


def test_threads_may_announce_at_the_same_time(emulator: AlchemyEmulator) -> None:
    threads = [threading.Thread(target=emulator.reveal, args=(ADDRESS, range(20))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logs = emulator.chain_logs()
    assert len({log.id for log in logs}) == 160
    assert len({log.block_number for log in logs}) == 8


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (lambda emulator: emulator.mine_blocks(0), "blocks must be at least 1"),
        (lambda emulator: emulator.reorganise(0), "depth must be at least 1"),
        (lambda emulator: emulator.reorganise(10**9), "depth must be at most 20000000"),
        (lambda emulator: emulator.reorganise(1, keep_logs=1), "keep_logs must be true or false"),
        (lambda emulator: emulator.reveal("0x1", [1]), "address must be 0x and 40 hex digits"),
        (lambda emulator: emulator.reveal(ADDRESS, 1), "token_ids must be a sequence"),
        (lambda emulator: emulator.reveal(ADDRESS, [1], per_transaction=0), "per_transaction must be at least 1"),
        (lambda emulator: emulator.reveal(ADDRESS, [1], network=5), "network must be a text"),
        (lambda emulator: emulator.reveal_batch(ADDRESS, 1, 2**256), "last_id must be a token's id"),
        (lambda emulator: emulator.announce_uri(ADDRESS, 1, None), "uri must be a text"),
        (lambda emulator: emulator.mint(ADDRESS, [1], to="me"), "to must be 0x and 40 hex digits"),
        (lambda emulator: emulator.transfer(ADDRESS, 1, sender="me"), "sender must be 0x and 40 hex digits"),
        (lambda emulator: emulator.emit_log(ADDRESS, "0x"), "topics must be a sequence of texts"),
        (lambda emulator: emulator.emit_log(ADDRESS, [5]), "topics must be a text"),
    ],
)
def test_wrong_input_is_refused_and_mines_nothing(
    emulator: AlchemyEmulator, action: Callable[[AlchemyEmulator], object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        action(emulator)
    assert emulator.newest_block() == FIRST
