# SPDX-License-Identifier: Apache-2.0
"""The page on collections as assets: its DAGs run, its table names what events have."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_alchemy.assets import collection
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.docs.pages import page
from tests.tasks.lives import ADDRESS
from tests.tasks.outlets import kept_events, run_known

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_database")]

PAGE = page("howto/assets.md")


@pytest.fixture
def names(emulator: AlchemyEmulator, tmp_path: Path) -> dict[str, Any]:
    """Give what the page's file defines, and both of its DAGs."""
    emulator.set_collection(ADDRESS, tokens=100)
    emulator.set_tokens(ADDRESS, [7], error="Token does not exist")
    (source,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    file = tmp_path / "punks.py"  # Airflow 2 reads a DAG's file
    file.write_text(re.sub(r'^with (DAG\("(\w+)".*)\):$', r"with \1) as \2:", source, flags=re.MULTILINE), "utf-8")
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        exec(compile(file.read_text("utf-8"), file, "exec"), names)  # noqa: S102 - our own page
    return names


def test_the_first_dag_tells_the_second_what_it_reads(names: dict[str, Any]) -> None:
    run_known(names["refresh_punks"])

    uri, _, extra = kept_events("refresh_punks")[-1]
    assert uri == collection(ADDRESS).uri in PAGE
    assert (extra["failed_in_part"], extra["failed"]) == (True, 1)
    assert sum(extra["failures"].values()) == 1


def test_the_second_dag_is_scheduled_on_the_collection_and_has_it_not_as_an_outlet(names: dict[str, Any]) -> None:
    timetable = names["publish_punks"].timetable
    condition = getattr(timetable, "asset_condition", None) or timetable.dataset_condition

    assert list(condition.objects) == [names["PUNKS"]]
    assert [task.outlets for task in names["publish_punks"].tasks] == [[]]


def test_the_table_names_what_an_event_tells(names: dict[str, Any]) -> None:
    run_known(names["refresh_punks"])
    rows = [line.split(" | ")[0] for line in PAGE.splitlines() if line.startswith("| `")]

    shown = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert shown == {*kept_events("refresh_punks")[-1][2], "batch"}
