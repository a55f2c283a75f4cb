# SPDX-License-Identifier: Apache-2.0
"""Steering the emulated account: each operation is declared once, for Python and for other processes.

A method with a command is also part of the control interface under ``/_emulator/``, which takes JSON, or with GET the
query, and gives JSON. It has no way to read or set a key. Every method may be called from any thread, before the server
starts, while it runs and after it stopped.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import wraps
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter

from airflow_provider_alchemy.testing.account import Account
from airflow_provider_alchemy.testing.calls import Call
from airflow_provider_alchemy.testing.chain import (
    BATCH_METADATA_UPDATE,
    METADATA_UPDATE,
    TRANSFER,
    URI,
    WORD_BYTES,
    Chain,
    ChainLog,
    Mint,
    RawLog,
    event,
    mint_events,
)
from airflow_provider_alchemy.testing.checks import Address, AtLeastOne, TokenId, TokenIds, checked
from airflow_provider_alchemy.testing.collections import Collection, CollectionPlan, TokenPlan, in_milliseconds
from airflow_provider_alchemy.testing.endpoints import ENDPOINTS
from airflow_provider_alchemy.testing.faults import Fault
from airflow_provider_alchemy.testing.jobs import JobPlan
from airflow_provider_alchemy.testing.routing import MAINNET
from airflow_provider_alchemy.testing.settings import Settings

PREFIX = "/_emulator/"

LOGS_PER_TRANSACTION = 1000
_ALICE, _BOB = "0x" + "a1" * 20, "0x" + "b2" * 20

CALLS = TypeAdapter(tuple[Call, ...])
"""How the record of calls is written for another process, and read there."""

_COMMANDS: dict[tuple[str, str], Callable[..., object]] = {}
Logs = tuple[ChainLog, ...]
Method = TypeVar("Method", bound=Callable[..., Any])


def _operation(command: str | None = None) -> Callable[[Method], Method]:
    """Check a method's arguments and hold the lock; with a command, serve it to other processes."""

    def decorate(method: Method) -> Method:
        run_checked = checked(method)

        @wraps(method)
        def run(self: Steering, /, *args: Any, **kwargs: Any) -> Any:
            with self._account.lock:
                return run_checked(self, *args, **kwargs)

        if command:
            http_method, _, name = command.partition(" ")
            _COMMANDS[http_method, name] = run
        return cast("Method", run)

    return decorate


class Steering:
    """What a test may change of the emulated account, and what it may ask it.

    In every method, ``address`` is a contract address in any case, a token's id is a number or its decimal or
    0x-hexadecimal text, ``network`` is a network's slug, and a ``ValueError`` names the argument that is not accepted.
    What is announced on a chain is mined at once, in a block of its own; the methods that announce give the logs.
    """

    def __init__(self, account: Account) -> None:
        self._account = account

    @property
    def settings(self) -> Settings:
        """The switches as they are now."""
        return self._account.settings

    @_operation("POST settings")
    def configure(self, /, **switches: Any) -> Settings:
        """Change switches, fields of ``Settings``, while the service runs; give all of them as they are then."""
        changed = replace(self._account.settings, **switches)
        self._account.change_settings(changed, time.time())
        return changed

    @_operation("POST jobs")
    def set_job(self, /, address: Address, network: str = MAINNET, **plan: Any) -> None:
        """Set what the refresh of one collection does.

        A job that is already submitted follows the new plan, counted from its submission.

        :param plan: fields of ``JobPlan``: ``queued_seconds=0.0``, ``running_seconds=1.0``, ``outcome="finished"``,
            ``queue_failures=0``, ``queued_state=None``, ``running_state=None``.
        """
        self._account.jobs.plans[network, address] = JobPlan(**plan)

    @_operation("POST default_job")
    def set_default_job(self, /, **plan: Any) -> None:
        """Set with fields of ``JobPlan`` what the refresh of a collection without :meth:`set_job` does."""
        self._account.jobs.default_plan = JobPlan(**plan)

    @_operation()
    def finished_at(self, address: Address, network: str = MAINNET) -> float | None:
        """Give the moment, in seconds since the epoch, of the end of a collection's job; None if there is none."""
        return self._account.jobs.finished_at(network, address, self._account.settings)

    @_operation("POST collections")
    def set_collection(self, /, address: Address, network: str = MAINNET, **plan: Any) -> None:
        """Set what a contract holds; what was there before is forgotten, with its refreshes.

        A contract that was never set has 10,000 tokens from 0 on.

        :param plan: fields of ``CollectionPlan``: ``tokens=10_000``, ``first_id=0``, ``token_ids=None``,
            ``token_type="ERC721"``, ``total_supply`` (the number of tokens), ``refresh_seconds=0.0``,
            ``queue_seconds=1.0``, ``last_updated=2026-01-01T00:00:00Z``.
        """
        self._account.collections[network, address] = Collection(CollectionPlan(**plan))

    @_operation("POST grow")
    def grow_collection(self, /, address: Address, tokens: AtLeastOne, network: str = MAINNET) -> None:
        """Add so many tokens at the end of a collection, as when some are minted while it is read."""
        self._account.collections[network, address].grow(tokens)

    @_operation("POST tokens")
    def set_tokens(self, /, address: Address, token_ids: TokenIds, network: str = MAINNET, **plan: Any) -> None:
        """Make single tokens of a collection special, or, without a plan, like the others again.

        :param plan: fields of ``TokenPlan``: ``stale=False``, ``stale_refreshes=0``, ``error=None``,
            ``error_answers=None``.
        """
        self._account.collections[network, address].set_tokens(token_ids, TokenPlan(**plan))

    @_operation()
    def time_last_updated(self, /, address: Address, token_id: TokenId, network: str = MAINNET) -> float:
        """Give the ``timeLastUpdated`` that an answer would show now, in seconds since the epoch."""
        view = self._account.collections[network, address].view(token_id, time.time())
        return in_milliseconds(view.updated_at) / 1000

    @_operation("POST faults")
    def add_fault(self, /, kind: str, **fields: Any) -> None:
        """Let something go wrong; of several faults that fit a call, the oldest hits it.

        :param kind: what goes wrong, a ``FaultKind`` or its text.
        :param fields: further fields of ``Fault``, such as ``times``, ``probability``, ``endpoint``,
            ``contract_address``, ``after_processing``, ``status`` and ``body``.
        """
        fault = Fault(**{"kind": kind, **fields})
        if fault.endpoint is not None:
            if fault.endpoint not in ENDPOINTS:
                msg = f"endpoint must be one of {', '.join(ENDPOINTS)}, not {fault.endpoint!r}"
                raise ValueError(msg)
            if fault.kind in ENDPOINTS[fault.endpoint].spared:
                msg = f"kind cannot be {fault.kind} for {fault.endpoint}: its answers have nothing of the kind"
                raise ValueError(msg)
        self._account.faults.waiting.append(fault)

    @_operation("DELETE faults")
    def clear_faults(self) -> None:
        """Let nothing go wrong any more; an answer that a fault already holds back stays late."""
        self._account.faults.waiting.clear()

    @_operation("POST reset")
    def reset(self) -> None:
        """Forget jobs, collections, chains, faults, calls, counters and the throughput window.

        The switches and the default job become those of the start again. The accepted keys stay: connections that hold
        one go on working.
        """
        self._account.reset()

    @property
    def api_key(self) -> str:
        """A key that is accepted: the first one."""
        return self._account.api_key

    @_operation()
    def rotate_key(self) -> str:
        """Accept one new random key and refuse all others from now on."""
        self._account.accept_keys(None)
        return self._account.api_key

    @property
    def calls(self) -> tuple[Call, ...]:
        """The API's calls so far, in the order in which the service took them."""
        with self._account.lock:
            return tuple(self._account.calls)

    def count(self, endpoint: str | None = None, contract_address: str | None = None) -> int:
        """Count the calls so far.

        :param endpoint: only calls of this endpoint; default: of all.
        :param contract_address: only calls about this contract, in any case; default: about any or none.
        """
        return sum(call.matches(endpoint, contract_address) for call in self.calls)

    def asked_tokens(self, endpoint: str | None = None, contract_address: str | None = None) -> Counter[int]:
        """Count how often each token was asked for so far, whatever the answer was.

        :param endpoint: only by calls of this endpoint; default: by any.
        :param contract_address: only by calls about this contract, the first one of a batch; default: about any.
        """
        asked = (call.token_ids for call in self.calls if call.matches(endpoint, contract_address))
        return Counter(token_id for token_ids in asked for token_id in token_ids)

    @property
    def compute_units(self) -> int:
        """The compute units billed so far."""
        return self._account.compute_units

    @property
    def throttled(self) -> int:
        """How many calls were refused with 429 because the throughput window was full."""
        return self._account.throttled

    @property
    def connections(self) -> int:
        """How many TCP connections were accepted, those of the control interface among them."""
        return self._account.connections

    @_operation("POST mine_blocks")
    def mine_blocks(self, /, blocks: AtLeastOne = 1, *, network: str = MAINNET) -> int:
        """Mine empty blocks at once, and give the number of the newest one."""
        chain = self._chain(network)
        chain.mine(blocks, time.time())
        return chain.newest

    @_operation()
    def newest_block(self, *, network: str = MAINNET) -> int:
        """Give the number of the newest block, without asking as a client."""
        return self._chain(network).newest

    @_operation("GET chain")
    def chain_logs(self, *, network: str = MAINNET) -> Logs:
        """Give the logs that are on the chain now."""
        return tuple(self._chain(network).logs)

    @contextmanager
    def one_block(self, *, network: str = MAINNET) -> Iterator[int]:
        """Put everything that is announced inside into one block, which is mined at the end; give its number.

        No other block of that network is mined meanwhile, and clients see nothing of this one.
        """
        with self._account.lock:
            chain = self._chain(network)
            number = chain.open_block()
        try:
            yield number
        finally:
            with self._account.lock:
                chain.close_block(time.time())

    @_operation("POST reveal")
    def reveal(self, /, address: Address, token_ids: TokenIds, *, network: str = MAINNET) -> Logs:
        """Announce new metadata of single tokens: ``MetadataUpdate`` of ERC-4906 for each of them.

        A transaction makes 1,000 logs at most.
        """
        return self._announce([event(address, METADATA_UPDATE, words=[token_id]) for token_id in token_ids], network)

    @_operation("POST reveal_batch")
    def reveal_batch(self, /, address: Address, first_id: TokenId, last_id: TokenId, *, network: str = MAINNET) -> Logs:
        """Announce new metadata of all tokens from one to another: ``BatchMetadataUpdate`` of ERC-4906.

        :param last_id: the last one, which counts; contracts also give ``2**256 - 1``, or a number below the first.
        """
        return self._announce([event(address, BATCH_METADATA_UPDATE, words=[first_id, last_id])], network)

    @_operation("POST announce_uri")
    def announce_uri(
        self, /, address: Address, token_id: TokenId, uri: str = "ipfs://emulated/{id}", *, network: str = MAINNET
    ) -> Logs:
        """Announce a token's new URI: ``URI`` of ERC-1155.

        :param uri: the URI; the default has the standard's placeholder for the id.
        """
        text = uri.encode()
        parts = (text[start : start + WORD_BYTES] for start in range(0, len(text), WORD_BYTES))
        words = [WORD_BYTES, len(text), *(int.from_bytes(part.ljust(WORD_BYTES, b"\0")) for part in parts)]
        return self._announce([event(address, URI, indexed=[token_id], words=words)], network)

    @_operation("POST mint")
    def mint(
        self,
        /,
        address: Address,
        token_ids: TokenIds,
        *,
        to: Address = _ALICE,
        by: Mint = "Transfer",
        network: str = MAINNET,
    ) -> Logs:
        """Mint tokens, by default with a ``Transfer`` of ERC-721 from the zero address for each of them.

        From then on they exist in the NFT API's answers as well, unless :meth:`set_collection` made the contract
        no NFT. A transaction makes 1,000 logs at most.

        :param to: their owner then.
        :param by: another event, ``TransferSingle``, ``TransferBatch`` or ``ConsecutiveTransfer`` (first to last one).
        """
        logs = self._announce(mint_events(address, by, token_ids, int(to, 16)), network)
        self._account.collections[network, address].add(token_ids)
        return logs

    @_operation("POST transfer")
    def transfer(
        self,
        /,
        address: Address,
        token_id: TokenId,
        *,
        sender: Address = _ALICE,
        to: Address = _BOB,
        network: str = MAINNET,
    ) -> Logs:
        """Hand a token over: ``Transfer`` of ERC-721 that is no mint.

        :param sender: its owner before; the zero address makes it a mint of a token that the NFT API does not know.
        :param to: its owner then; the zero address burns it.
        """
        return self._announce([event(address, TRANSFER, indexed=[int(sender, 16), int(to, 16), token_id])], network)

    @_operation("POST log")
    def emit_log(self, /, address: Address, topics: Sequence[str], data: str = "0x", *, network: str = MAINNET) -> Logs:
        """Write any log, also one that does not decode: topics and data are taken as they are."""
        return self._announce([RawLog(address, tuple(topics), data)], network)

    @_operation("POST reorganise")
    def reorganise(self, /, depth: AtLeastOne, *, keep_logs: bool = False, network: str = MAINNET) -> Logs:
        """Replace the newest blocks by as many others, with other hashes.

        :param keep_logs: whether each new block has the transactions of the old one, in reverse order, so that the logs
            of several have other indexes; default no: their logs vanish.
        """
        return self._chain(network).reorganise(depth, keep_logs=keep_logs)

    def _announce(self, events: Sequence[RawLog], network: str) -> Logs:
        starts = range(0, len(events), LOGS_PER_TRANSACTION)
        transactions = [events[start : start + LOGS_PER_TRANSACTION] for start in starts]
        return self._chain(network).add(transactions, time.time())

    def _chain(self, network: str) -> Chain:
        return self._account.chain(network, time.time())


_COMMANDS["GET", "health"] = lambda _steering, **_query: None
_COMMANDS["GET", "calls"] = lambda steering, **_query: {"calls": CALLS.dump_python(steering.calls, mode="json")}
_COMMANDS["GET", "counters"] = lambda steering, **_query: {
    "calls": steering.count(),
    **{name: getattr(steering, name) for name in ("compute_units", "throttled", "connections")},
}


def _to_json(steering: Steering, result: object, network: str) -> dict[str, Any]:
    if result is None:
        return {"status": "ok"}
    if isinstance(result, Settings | dict):
        return result if isinstance(result, dict) else asdict(result)
    # All others are about a chain.
    logs = result if isinstance(result, tuple) else ()
    rows = [{"id": log.id, **asdict(log)} for log in logs]
    return {"newest_block": steering.newest_block(network=network), "logs": rows}


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message}}


def control(
    steering: Steering, method: str, path: str, query: dict[str, str], body: bytes
) -> tuple[int, dict[str, Any]]:
    """Carry out one request of the control interface: 400 names the wrong field, 404 lists the commands."""
    command = _COMMANDS.get((method, path.removeprefix(PREFIX)))
    if command is None:
        known = ", ".join(f"{method} {PREFIX}{name}" for method, name in _COMMANDS)
        return 404, _error(f"There is no such command; there are: {known}")
    try:
        payload = json.loads(body) if body.strip() else query if method == "GET" else {}
    except ValueError:
        payload = None
    if not isinstance(payload, dict):
        return 400, _error("The body must be a JSON object")
    try:
        result = command(steering, **payload)
        return 200, _to_json(steering, result, payload.get("network", MAINNET))
    except ValueError as error:
        return 400, _error(str(error))
