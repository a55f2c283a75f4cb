# SPDX-License-Identifier: Apache-2.0
"""The API key appears nowhere outside the connection, also where everything goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.waits.conftest import Stage
from tests.e2e.waits.dags.alchemy_scenarios import BROKEN, address_of
from tests.key_search import places_of

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def home(stage: Stage, crash: float) -> Path:  # noqa: ARG001 - also what a killed triggerer left behind
    """Airflow's home after every run: logs of tasks and processes, and the whole metadata database."""
    for dag_id in stage.runs:
        stage.ended(dag_id)
    return stage.airflow.home


@pytest.mark.parametrize("kind", ["operator", "sensor"])
@pytest.mark.parametrize("trouble", BROKEN)
def test_a_provoked_error_fails_its_task(stage: Stage, trouble: str, kind: str) -> None:
    assert stage.task(f"{kind}_{trouble}").state == "failed"


def test_the_key_is_in_no_file_of_airflow(home: Path, api_key: str) -> None:
    assert places_of(api_key, folder=home) == []


def test_the_key_is_in_nothing_that_the_emulator_shows(stage: Stage, api_key: str) -> None:
    shown = {"the emulator": repr(stage.emulator), "its calls": "".join(map(repr, stage.emulator.calls))}

    assert places_of(api_key, texts=shown) == []


def test_the_search_finds_what_is_in_a_log_and_in_a_row(home: Path) -> None:
    found = {place.where.split(" row ")[0] for place in places_of(address_of(f"sensor_{BROKEN[0]}"), folder=home)}

    assert any(where.startswith("file logs/dag_id=") for where in found)
    assert any(where.startswith("file airflow.db, table ") for where in found)
