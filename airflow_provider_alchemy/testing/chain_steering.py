# SPDX-License-Identifier: Apache-2.0
"""What a test tells the emulated blockchains: blocks, what contracts announce in them, reorganisations.

What is announced is mined at once, in one block of its own; :meth:`ChainSteering.one_block` puts several
announcements into one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from airflow_provider_alchemy.testing import chain_events, checks
from airflow_provider_alchemy.testing.chain import Chain, ChainLog
from airflow_provider_alchemy.testing.chain_events import ZERO_ADDRESS, RawLog
from airflow_provider_alchemy.testing.routing import DEFAULT_NETWORK
from airflow_provider_alchemy.testing.state import ServiceState

SOMEBODY = "0x" + "a1" * 20
SOMEBODY_ELSE = "0x" + "b2" * 20
"""Who tokens belong to where a test does not care."""

PER_TRANSACTION = 1000

_AT_LEAST_ONE = checks.whole(1)


class ChainSteering:
    """The wheel of the emulated blockchains, one for each network."""

    _state: ServiceState

    def mine_blocks(self, /, blocks: int = 1, *, network: str = DEFAULT_NETWORK) -> int:
        """Mine empty blocks at once.

        :param blocks: how many; default 1.
        :param network: the network's slug; default ``eth-mainnet``.
        :return: the number of the newest block.
        :raises ValueError: a value that is not accepted, or a block is open.
        """
        number = _AT_LEAST_ONE("blocks", blocks)
        with self._state.lock:
            chain, now = self._chain(network)
            chain.mine(number, now)
            return chain.newest

    def newest_block(self, *, network: str = DEFAULT_NETWORK) -> int:
        """Give the number of the newest block, without asking as a client.

        :param network: the network's slug; default ``eth-mainnet``.
        :return: the number.
        :raises ValueError: the network is no text.
        """
        with self._state.lock:
            return self._chain(network)[0].newest

    def chain_logs(self, *, network: str = DEFAULT_NETWORK) -> tuple[ChainLog, ...]:
        """Give the logs that are on the chain now.

        :param network: the network's slug; default ``eth-mainnet``.
        :return: the logs, in the order of the chain.
        :raises ValueError: the network is no text.
        """
        with self._state.lock:
            return self._chain(network)[0].logs

    @contextmanager
    def one_block(self, *, network: str = DEFAULT_NETWORK) -> Iterator[int]:
        """Put everything that is announced inside into one block, which is mined at the end.

        No other block of that network is mined meanwhile, and clients see nothing of this one.

        :param network: the network's slug; default ``eth-mainnet``.
        :return: a context manager; it gives the number that the block will have.
        :raises ValueError: a value that is not accepted, or a block is open already.
        """
        with self._state.lock:
            chain, _ = self._chain(network)
            number = chain.open_block()
        try:
            yield number
        finally:
            with self._state.lock:
                chain.close_block(time.time())

    def reveal(
        self,
        /,
        address: str,
        token_ids: Iterable[int | str],
        *,
        per_transaction: int = PER_TRANSACTION,
        network: str = DEFAULT_NETWORK,
    ) -> tuple[ChainLog, ...]:
        """Announce new metadata of single tokens: ``MetadataUpdate`` of ERC-4906 for each of them.

        :param address: the contract address, in any case.
        :param token_ids: the tokens: numbers, or decimal or 0x-hexadecimal texts.
        :param per_transaction: how many logs a transaction makes at most; default 1,000.
        :param network: the network's slug; default ``eth-mainnet``.
        :return: the logs.
        :raises ValueError: a value that is not accepted.
        """
        contract = checks.address("address", address)
        tokens = checks.token_ids("token_ids", token_ids)
        events = [chain_events.metadata_update(contract, token_id) for token_id in tokens]
        return self._announce(events, network, per_transaction)

    def reveal_batch(
        self, /, address: str, first_id: int | str, last_id: int | str, *, network: str = DEFAULT_NETWORK
    ) -> tuple[ChainLog, ...]:
        """Announce new metadata of all tokens from one to another: ``BatchMetadataUpdate`` of ERC-4906.

        :param address: the contract address, in any case.
        :param first_id: the first token.
        :param last_id: the last one, which counts; contracts also give ``2**256 - 1``, for all of them, and some a
            number below the first one.
        :param network: the network's slug; default ``eth-mainnet``.
        :return: the one log.
        :raises ValueError: a value that is not accepted.
        """
        contract = checks.address("address", address)
        first, last = checks.token_id("first_id", first_id), checks.token_id("last_id", last_id)
        return self._announce([chain_events.batch_metadata_update(contract, first, last)], network)

    def announce_uri(
        self, /, address: str, token_id: int | str, uri: str = "ipfs://emulated/{id}", *, network: str = DEFAULT_NETWORK
    ) -> tuple[ChainLog, ...]:
        """Announce a token's new URI: ``URI`` of ERC-1155.

        :param address: the contract address, in any case.
        :param token_id: the token.
        :param uri: the URI; the default has the standard's placeholder for the id.
        :param network: the network's slug; default ``eth-mainnet``.
        :return: the one log.
        :raises ValueError: a value that is not accepted.
        """
        contract, token = checks.address("address", address), checks.token_id("token_id", token_id)
        return self._announce([chain_events.uri(contract, token, checks.text("uri", uri))], network)

    def mint(
        self,
        /,
        address: str,
        token_ids: Iterable[int | str],
        *,
        to: str = SOMEBODY,
        per_transaction: int = PER_TRANSACTION,
        network: str = DEFAULT_NETWORK,
    ) -> tuple[ChainLog, ...]:
        """Mint tokens: ``Transfer`` of ERC-721 from the zero address for each of them.

        From then on they exist in the NFT API's answers as well, unless :meth:`Steering.set_collection` said that the
        contract is no NFT.

        :param address: the contract address, in any case.
        :param token_ids: the tokens: numbers, or decimal or 0x-hexadecimal texts.
        :param to: whom they belong to then.
        :param per_transaction: how many logs a transaction makes at most; default 1,000.
        :param network: the network's slug; default ``eth-mainnet``.
        :return: the logs.
        :raises ValueError: a value that is not accepted.
        """
        contract, owner = checks.address("address", address), checks.address("to", to)
        tokens = checks.token_ids("token_ids", token_ids)
        events = [chain_events.transfer(contract, token_id, ZERO_ADDRESS, owner) for token_id in tokens]
        with self._state.lock:
            logs = self._announce(events, network, per_transaction)
            self._state.collections.get(network, contract).add(tokens)
        return logs

    def transfer(
        self,
        /,
        address: str,
        token_id: int | str,
        *,
        sender: str = SOMEBODY,
        to: str = SOMEBODY_ELSE,
        network: str = DEFAULT_NETWORK,
    ) -> tuple[ChainLog, ...]:
        """Hand a token over: ``Transfer`` of ERC-721 that is no mint.

        :param address: the contract address, in any case.
        :param token_id: the token.
        :param sender: whom it belonged to; the zero address makes it a mint of a token that the NFT API does not know.
        :param to: whom it belongs to then; the zero address burns it.
        :param network: the network's slug; default ``eth-mainnet``.
        :return: the one log.
        :raises ValueError: a value that is not accepted.
        """
        contract, token = checks.address("address", address), checks.token_id("token_id", token_id)
        before, after = checks.address("sender", sender), checks.address("to", to)
        return self._announce([chain_events.transfer(contract, token, before, after)], network)

    def emit_log(
        self, /, address: str, topics: Iterable[str], data: str = "0x", *, network: str = DEFAULT_NETWORK
    ) -> tuple[ChainLog, ...]:
        """Write any log, also one that does not decode: topics and data are taken as they are.

        :param address: the contract address, in any case.
        :param topics: the topics.
        :param data: what is not indexed; default ``0x``, nothing.
        :param network: the network's slug; default ``eth-mainnet``.
        :return: the one log.
        :raises ValueError: a value that is not accepted.
        """
        contract = checks.address("address", address)
        return self._announce([RawLog(contract, checks.texts("topics", topics), checks.text("data", data))], network)

    def reorganise(
        self, /, depth: int, *, keep_logs: bool = False, network: str = DEFAULT_NETWORK
    ) -> tuple[ChainLog, ...]:
        """Replace the newest blocks by as many others, with other hashes.

        :param depth: how many.
        :param keep_logs: whether each new block has the transactions of the old one, in reverse order, so that the logs
            of several have other indexes; default no: their logs vanish.
        :param network: the network's slug; default ``eth-mainnet``.
        :return: the logs in the new blocks.
        :raises ValueError: a value that is not accepted, or a block is open.
        """
        number, keep = _AT_LEAST_ONE("depth", depth), checks.flag("keep_logs", keep_logs)
        with self._state.lock:
            return self._chain(network)[0].reorganise(number, keep_logs=keep)

    def _announce(
        self, events: Sequence[RawLog], network: str, per_transaction: int = PER_TRANSACTION
    ) -> tuple[ChainLog, ...]:
        most = _AT_LEAST_ONE("per_transaction", per_transaction)
        with self._state.lock:
            chain, now = self._chain(network)
            return chain.add([events[start : start + most] for start in range(0, len(events), most)], now)

    def _chain(self, network: str) -> tuple[Chain, float]:
        now = time.time()
        return self._state.chains.get(checks.text("network", network), self._state.settings, now), now
