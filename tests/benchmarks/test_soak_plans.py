# SPDX-License-Identifier: Apache-2.0
"""What the emulator is told before a wait starts: a real one, asked as the task would ask it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from airflow_provider_alchemy.api.inputs import read_contract_address
from airflow_provider_alchemy.testing import AlchemyEmulator, RemoteEmulator
from dev.benchmarks.soak.kinds import BATCH_SIZE, CONTRACT, CONTRACTS, LITERAL_CONTRACTS, SINCE_BLOCK, Kind, Load
from dev.benchmarks.soak.plans import contract_of, plan_of

pytestmark = pytest.mark.integration

NUMBER = (1 << 71) + 12_345
WAIT = 3_600.0


@pytest.fixture
def emulator() -> Iterator[AlchemyEmulator]:
    with AlchemyEmulator(units_per_second=None, block_seconds=None) as running:
        yield running


@pytest.fixture
def service(emulator: AlchemyEmulator) -> Iterator[RemoteEmulator]:
    with RemoteEmulator(emulator.url) as control:
        yield control


def state_of(emulator: AlchemyEmulator, contract: str) -> str:
    answer = requests.get(
        f"{emulator.url}/nft/v2/{emulator.api_key}/reingestContract", params={"contractAddress": contract}, timeout=10
    )
    state: str = answer.json()["reingestionState"]
    return state


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (Kind.SENSOR, "in_progress"),
        (Kind.SENSOR_IN_TRIGGERER, "in_progress"),
        (Kind.OPERATOR, "in_progress"),
        (Kind.OPERATOR_IN_TRIGGERER, "in_progress"),
        (Kind.TIMED_OUT, "in_progress"),
        (Kind.RESUBMITTED, "queue_failed"),
        (Kind.QUEUE_FAILED, "queued"),
        (Kind.DOES_NOT_EXIST, "does_not_exist"),
    ],
)
def test_a_refresh_is_in_the_state_in_which_its_wait_begins(
    emulator: AlchemyEmulator, service: RemoteEmulator, kind: Kind, state: str
) -> None:
    plan = plan_of(kind, NUMBER, service, WAIT)

    contract = LITERAL_CONTRACTS[kind] if kind in LITERAL_CONTRACTS else plan.parameters[CONTRACT]
    assert state_of(emulator, contract) == state


def test_a_batch_names_its_contracts(emulator: AlchemyEmulator, service: RemoteEmulator) -> None:
    contracts = plan_of(Kind.BATCH, NUMBER, service, WAIT).parameters[CONTRACTS].split()

    assert len({*contracts}) == BATCH_SIZE
    assert {state_of(emulator, one) for one in contracts} == {"in_progress"}


def test_tokens_become_fresh_when_the_wait_is_due(emulator: AlchemyEmulator, service: RemoteEmulator) -> None:
    plan = plan_of(Kind.FRESH, NUMBER, service, WAIT)
    contract = plan.parameters[CONTRACT]
    before = emulator.time_last_updated(contract, 0)
    assert plan.when_due is not None
    plan.when_due()

    assert emulator.time_last_updated(contract, 0) > before + 1_000


def test_a_token_is_minted_when_the_wait_is_due(emulator: AlchemyEmulator, service: RemoteEmulator) -> None:
    plan = plan_of(Kind.MINTED, NUMBER, service, WAIT)
    assert not emulator.chain_logs()
    assert plan.when_due is not None
    plan.when_due()

    (log,) = emulator.chain_logs()
    assert log.contract_address == plan.parameters[CONTRACT]
    # It is confirmed, and after the block from which the sensor looks.
    assert int(plan.parameters[SINCE_BLOCK]) < log.block_number < emulator.newest_block()
    assert plan.is_right is not None
    assert plan.is_right({"token_ids": [str(int(log.topics[3], 16))]})


def test_every_kind_of_a_load_has_a_plan(service: RemoteEmulator) -> None:
    plans = [plan_of(kind, NUMBER + place, service, WAIT) for place, kind in enumerate(Kind)]

    assert {*Kind} == {*Load.ALCHEMY.turn, *Load.CORE.turn}
    assert [bool(plan.parameters) for plan in plans] == [kind not in LITERAL_CONTRACTS for kind in Kind]


def test_no_two_waits_share_a_collection() -> None:
    contracts = {contract_of(NUMBER + wait, member) for wait in range(50) for member in range(BATCH_SIZE)}

    assert len(contracts) == 50 * BATCH_SIZE
    assert all(read_contract_address(contract) for contract in contracts)
