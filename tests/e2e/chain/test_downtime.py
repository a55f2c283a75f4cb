# SPDX-License-Identifier: Apache-2.0
"""Whatever happens while the triggerer is down is told when it is up again, for as few calls as the API allows."""

from __future__ import annotations

import pytest

from tests.e2e.chain.dags.watchers import DAY, HUNDRED, SCENARIOS, TEN, TWO
from tests.e2e.chain.downtime import BEHIND, BLOCKS_OF_A_DAY, BOTH_CONTRACTS, CHANGED, LIMITS, Downtime
from tests.e2e.chain.mill import ids_for
from tests.e2e.chain.stage import Stage

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("scenario", LIMITS)
def test_a_thousand_blocks_take_the_fewest_calls_that_the_limit_allows(downtime: Downtime, scenario: str) -> None:
    caught_up, limit = downtime.catching_up[scenario], LIMITS[scenario]
    first = caught_up.first_block
    fewest = [(start, start + limit - 1) for start in range(first, first + BEHIND, limit)]

    # Then come the few blocks that confirmed the last of these.
    assert caught_up.answered[: len(fewest)] == fewest
    # A triggerer that has just started does not know the limit; the refusal names it.
    assert caught_up.refused == 1


def test_a_day_without_a_limit_takes_one_call(downtime: Downtime) -> None:
    first_block = downtime.catching_up[DAY].first_block

    assert downtime.catching_up[DAY].answered[0] == (first_block, first_block + BLOCKS_OF_A_DAY - 1)


@pytest.mark.usefixtures("downtime")
@pytest.mark.parametrize("scenario", [TEN, HUNDRED, DAY])
def test_all_that_was_announced_meanwhile_is_told_once(stage: Stage, scenario: str) -> None:
    (watched,) = SCENARIOS[scenario]

    assert stage.records.ids(watched.asset) == dict.fromkeys(ids_for(watched, stage.emulator_of(watched)), 1)


@pytest.mark.usefixtures("downtime")
def test_each_of_two_watchers_of_an_asset_goes_on_at_its_own_place(stage: Stage) -> None:
    watched = SCENARIOS[TWO][0]

    assert stage.records.ids("two") == dict.fromkeys(ids_for(watched, stage.emulator_of(watched)), 2)


@pytest.mark.usefixtures("downtime")
def test_a_watcher_with_another_list_of_contracts_goes_on_where_its_predecessor_was(stage: Stage) -> None:
    emulator = stage.emulator_of(CHANGED)
    emulator.mine_blocks(CHANGED.confirmations, network=CHANGED.network)
    announced = ids_for(CHANGED, emulator)

    stage.until_told(CHANGED.asset, announced)
    assert stage.records.ids(CHANGED.asset) == dict.fromkeys(announced, 1)


@pytest.mark.usefixtures("downtime")
def test_a_contract_that_was_added_to_the_list_is_watched(stage: Stage) -> None:
    stage.until(
        lambda: stage.records.places(BOTH_CONTRACTS).keys() == set(BOTH_CONTRACTS.contracts),
        "The watch of both contracts has not begun",
    )
    emulator = stage.emulator_of(CHANGED)
    (log,) = emulator.reveal(BOTH_CONTRACTS.contracts[1], [1], network=CHANGED.network)
    emulator.mine_blocks(CHANGED.confirmations, network=CHANGED.network)

    stage.until_told(CHANGED.asset, {log.id})
