# SPDX-License-Identifier: Apache-2.0
"""The API key of those who watch the chain is in no log and no row of the metadata database."""

from __future__ import annotations

import pytest

from tests.e2e.chain.dags.watchers import CALM, SCENARIOS
from tests.e2e.chain.stage import LOGS, Stage
from tests.key_search import places_of

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("troubled", "downtime", "killing")]


@pytest.fixture(scope="module")
def troubled(stage: Stage) -> None:
    """Answers of all kinds that are none: what is said of them must not show the key."""
    watched = SCENARIOS[CALM][0]
    emulator = stage.emulator_of(watched)
    for kind in ("html", "cut_json", "reset", "error_object", "redirect"):
        emulator.add_fault(kind, endpoint=LOGS, times=2)
    emulator.add_fault("http", endpoint="eth_blockNumber", status=401, times=2)
    emulator.reveal(watched.contracts[0], [1], network=watched.network)
    stage.mine_until_told(CALM)


def test_the_key_is_in_no_file_of_airflow(stage: Stage, api_key: str) -> None:
    assert places_of(api_key, folder=stage.airflow.home) == []


def test_the_key_is_in_no_row_of_the_database(stage: Stage, api_key: str) -> None:
    assert places_of(api_key, database_url=stage.airflow.database_url) == []


def test_the_search_finds_what_is_in_a_row(stage: Stage) -> None:
    places = places_of(SCENARIOS[CALM][0].contracts[0], database_url=stage.airflow.database_url)

    assert any(place.where.startswith("table asset_event, column extra, id ") for place in places)
