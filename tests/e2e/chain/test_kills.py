# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of the triggerer loses no announcement, and repeats only what was under way."""

from __future__ import annotations

import pytest

from tests.e2e.chain.dags.watchers import Watched
from tests.e2e.chain.kills import KILLS, WATCHES, Killing
from tests.e2e.chain.mill import ids_for, logs_for
from tests.e2e.chain.records import counted
from tests.e2e.chain.stage import Stage

pytestmark = pytest.mark.e2e


def test_some_kills_came_between_reading_a_block_and_storing_its_events(stage: Stage, killing: Killing) -> None:
    def are_under_way(number: int) -> bool:
        kill = killing.kills[number]
        return any(
            log.block_number <= kill.read_to and log.id not in stored
            for watched in WATCHES
            for stored in [
                counted(one for one in killing.told if one.asset == watched.asset and one.number <= kill.last_event)
            ]
            for log in logs_for(watched, stage.emulator_of(watched))
        )

    assert len(killing.kills) == KILLS
    assert any(map(are_under_way, range(KILLS)))


@pytest.mark.parametrize("watched", WATCHES, ids=lambda watched: watched.asset)
def test_all_that_was_announced_and_nothing_else_is_told(stage: Stage, killing: Killing, watched: Watched) -> None:
    told = counted(one for one in killing.told if one.asset == watched.asset)

    assert told.keys() == ids_for(watched, stage.emulator_of(watched))


def test_only_what_was_in_flight_at_a_kill_is_told_again(killing: Killing) -> None:
    others = [again for again in killing.told_again() if not killing.was_in_flight(*again)]

    assert others == []


@pytest.mark.parametrize("watched", WATCHES, ids=lambda watched: watched.asset)
def test_no_place_is_kept_before_the_events_up_to_it_are_stored(
    stage: Stage, killing: Killing, watched: Watched
) -> None:
    for kill in killing.kills:
        stored = counted(one for one in killing.told if one.asset == watched.asset and one.number <= kill.last_event)
        passed = {
            log.id
            for log in logs_for(watched, stage.emulator_of(watched))
            if log.block_number < kill.places[watched.asset][log.contract_address]
        }
        assert passed <= stored.keys()
