# SPDX-License-Identifier: Apache-2.0
"""The API key appears nowhere outside the connection, also where everything goes wrong."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.e2e.conftest import Stage
from tests.e2e.dags.alchemy_scenarios import BROKEN

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def home(stage: Stage, crash: float) -> Path:  # noqa: ARG001 - also what a killed triggerer left behind
    """Airflow's home after every run: logs of tasks and processes, and the whole metadata database."""
    for dag_id in stage.runs:
        stage.ended(dag_id)
    return stage.airflow.home


def forms_of(key: str) -> set[bytes]:
    texts = {key, quote(key), quote(key, safe=""), quote_plus(key), base64.b64encode(key.encode()).decode()}
    return {text.encode() for text in texts}


def files_with(key: str, folder: Path) -> Iterator[str]:
    forms = forms_of(key)
    for path in folder.rglob("*"):
        if path.is_file() and any(form in path.read_bytes() for form in forms):
            yield str(path.relative_to(folder))


@pytest.mark.parametrize("kind", ["operator", "sensor"])
@pytest.mark.parametrize("trouble", BROKEN)
def test_a_provoked_error_fails_its_task(stage: Stage, trouble: str, kind: str) -> None:
    assert stage.task(f"{kind}_{trouble}").state == "failed"


def test_the_key_is_in_no_file_of_airflow(home: Path, api_key: str) -> None:
    assert list(files_with(api_key, home)) == []


def test_the_key_is_in_nothing_that_the_emulator_shows(stage: Stage, api_key: str) -> None:
    shown = repr(stage.emulator) + "".join(map(repr, stage.emulator.calls))

    assert not any(form.decode() in shown for form in forms_of(api_key))


def test_the_search_finds_a_key_that_was_put_there(api_key: str, tmp_path: Path) -> None:
    for number, form in enumerate(forms_of(api_key)):
        (tmp_path / f"{number}.log").write_bytes(b"GET /nft/v2/" + form + b"/reingestContract")

    assert len(list(files_with(api_key, tmp_path))) == len(forms_of(api_key))
