# SPDX-License-Identifier: Apache-2.0
"""The waits of one scenario at the emulator: planned so that none ends by itself, then let go, and what came of it."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from airflow_provider_alchemy.testing import RemoteEmulator
from airflow_provider_alchemy.testing.calls import Call
from tests.e2e.cluster.dags.waits import (
    CONFIRMATIONS,
    REFRESHES,
    WATCHERS,
    Kind,
    batches_of,
    contracts_of,
)

ENDLESS_SECONDS = 100_000.0
TOKENS = 20
MINTED_TOKEN = 7
FAILING_EVERY = 5
"""Each fifth refresh fails: a wait that ends as failed has to survive a kill as one that ends well."""
ENDS_WITHIN_SECONDS = 12.0
"""The refreshes end over so many seconds, around the kill: some answers are on their way when it comes."""

FINISHED, NO_COLLECTION = "finished", "does_not_exist"
TERMINAL = frozenset({FINISHED, NO_COLLECTION})


class ScenarioWaits:
    """
    The contracts of a scenario.

    :param scenario: Its name, from which its contracts are made.
    :param waits: How many waits it has.
    :param emulator: Where they wait.
    """

    def __init__(self, scenario: str, waits: int, emulator: RemoteEmulator) -> None:
        self._emulator = emulator
        self.contracts = {kind: contracts_of(scenario, kind, waits) for kind in Kind}
        collections = self.contracts[Kind.COLLECTION]
        self.contracts[Kind.FRESH] = [
            collections[index % len(collections)] for index in range(len(self.contracts[Kind.FRESH]))
        ]
        # The watchers are the same in all scenarios: they wait all the time.
        self.contracts[Kind.WATCHER] = contracts_of(WATCHERS, Kind.WATCHER, waits)
        self.failing = {
            contract for kind in REFRESHES for contract in self.contracts[kind][FAILING_EVERY - 1 :: FAILING_EVERY]
        }
        self.released_at = self.minted_at = 0.0
        self.revealed: dict[str, set[str]] = {}
        self._dice = random.Random(scenario)
        self._token_id = self._dice.randrange(2**40)

    @property
    def refreshes(self) -> list[str]:
        """The contracts whose whole refresh is waited for."""
        return [contract for kind in REFRESHES for contract in self.contracts[kind]]

    @property
    def parameters(self) -> dict[str, Any]:
        """What the DAG's run is told."""
        lists: Mapping[str, Any] = {str(kind): contracts for kind, contracts in self.contracts.items()}
        return {**lists, "batches": batches_of(self.contracts[Kind.BATCH])}

    def plan(self) -> None:
        """Let nothing of it end by itself."""
        self._emulator.post("default_job", running_seconds=ENDLESS_SECONDS)
        for contract in self.contracts[Kind.COLLECTION]:
            self._emulator.post("collections", address=contract, tokens=TOKENS)
            self._emulator.post("tokens", address=contract, token_ids=list(range(TOKENS)), stale=True)

    def calls(self) -> list[Call]:
        """Give the calls that concern a contract of its own."""
        mine = {
            contract for kind, contracts in self.contracts.items() if kind != Kind.WATCHER for contract in contracts
        }
        return [call for call in self._emulator.calls if call.contract_address in mine]

    def not_under_way(self) -> list[str]:
        """List the contracts that nobody has asked about yet."""
        asked = {call.contract_address for call in self.calls() if call.http_status == 200}
        # The chain is asked about all blocks; whether a wait for mints has begun only Airflow can tell.
        kinds = [*REFRESHES, Kind.COLLECTION]
        return [contract for kind in kinds for contract in self.contracts[kind] if contract not in asked]

    def release(self) -> None:
        """Let the refreshes end, over some seconds from now on, and the tokens be refreshed by the next attempt."""
        submitted: dict[str | None, float] = {}
        for call in self.calls():
            if call.http_status == 200:
                submitted.setdefault(call.contract_address, call.at)
        self.released_at = time.time()
        for contract in self.refreshes:
            if contract in self.failing:
                self._emulator.post("jobs", address=contract, outcome=NO_COLLECTION)
                continue
            ends_at = self.released_at + self._dice.uniform(0, ENDS_WITHIN_SECONDS)
            self._emulator.post("jobs", address=contract, running_seconds=ends_at - submitted[contract])
        for contract in self.contracts[Kind.COLLECTION]:
            self._emulator.post("tokens", address=contract, token_ids=list(range(TOKENS)))

    def mint(self) -> None:
        """Mint a token for each wait for one."""
        self.minted_at = time.time()
        for contract in self.contracts[Kind.MINTED]:
            self._emulator.post("mint", address=contract, token_ids=[MINTED_TOKEN])
        self._emulator.post("mine_blocks", blocks=CONFIRMATIONS)

    def reveal(self) -> None:
        """Announce new metadata of a token to each watcher."""
        self._token_id += 1
        for contract in self.contracts[Kind.WATCHER]:
            logs = self._emulator.post("reveal", address=contract, token_ids=[self._token_id])["logs"]
            self.revealed.setdefault(contract, set()).update(log["id"] for log in logs)
        self._emulator.post("mine_blocks", blocks=CONFIRMATIONS)

    def first_terminal_answers(self) -> dict[str, float]:
        """Tell when each contract's end was answered first."""
        answered: dict[str, float] = {}
        for call in self.calls():
            if call.state in TERMINAL and call.contract_address:
                answered.setdefault(call.contract_address, call.at)
        return answered

    def calls_after_the_end(self) -> Counter[str]:
        """Count the calls about each contract after the first answer that ended its refresh."""
        ended, again = set(), Counter[str]()
        for call in self.calls():
            contract = call.contract_address or ""
            if contract in ended:
                again[contract] += 1
            elif call.state in TERMINAL:
                ended.add(contract)
        return again
