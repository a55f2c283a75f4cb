# SPDX-License-Identifier: Apache-2.0
"""The parts of the page that ask nothing and draw nothing, in a browser without any Airflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser

from airflow_provider_alchemy.api.packing import pack_ids
from airflow_provider_alchemy.plugins.page import SCRIPT, STATIC

pytestmark = pytest.mark.e2e

Call = Callable[..., Any]

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
NOW_MS = NOW.timestamp() * 1000
ADDRESS, OTHER = f"0x{'ab' * 20}", f"0x{'cd' * 20}"
RESULT = {"contract_address": ADDRESS, "network": "eth-mainnet", "state": "finished", "failed_in_part": False}


@pytest.fixture(scope="module")
def call(browser: Browser) -> Iterator[Call]:
    page = browser.new_page()
    page.evaluate("globalThis.React = {}")
    page.add_script_tag(path=STATIC / SCRIPT)
    code = "([name, values]) => AirflowPlugin.logic[name](...values)"

    def function(name: str, *values: Any) -> Any:
        return page.evaluate(code, [name, list(values)])

    yield function
    page.close()


def asset(asset_id: int = 1, address: str = ADDRESS, **fields: Any) -> dict[str, Any]:
    uri = f"alchemy://eth-mainnet/{address}"
    tasks = [{"dag_id": "dag", "task_id": "refresh"}]
    return {"id": asset_id, "name": uri, "uri": uri, "producing_tasks": tasks, "scheduled_dags": [], **fields}


def event(extra: dict[str, Any], age: timedelta = timedelta(hours=1), **fields: Any) -> dict[str, Any]:
    at = (NOW - age).timestamp() * 1000
    source = {"source_dag_id": "dag", "source_run_id": "run", "source_task_id": "refresh", "source_map_index": -1}
    return {"id": int(at), "asset_id": 1, "at": at, "extra": extra, **source, **fields}


def task(state: str = "running", **fields: Any) -> dict[str, Any]:
    known = {"dag_id": "dag", "dag_run_id": "run", "task_id": "refresh", "map_index": -1, "try_number": 1}
    return {**known, "state": state, "rendered_fields": {}, "rendered_map_index": None, **fields}


def rows(call: Call, **data: Any) -> list[dict[str, Any]]:
    known = {"assets": [asset()], "events": [], "active": [], "failed": [], "progress": {}}
    found: list[dict[str, Any]] = call("buildRows", {**known, **data}, NOW_MS)
    return found


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"alchemy://eth-mainnet/{ADDRESS}", {"network": "eth-mainnet", "address": ADDRESS}),
        ("s3://bucket/key", None),
        (f"alchemy://eth-mainnet/{ADDRESS}/more", None),
        ("alchemy://javascript:alert(1)/0x", None),
        (None, None),
    ],
)
def test_only_a_collections_uri_is_read(call: Call, uri: str | None, expected: object) -> None:
    assert call("collectionOf", uri) == expected


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (RESULT, "fresh"),
        ({}, "updated"),
        ({"from_rest_api": True}, "updated"),
        (
            {**RESULT, "failed_in_part": True, "counts": {"tokens": 2, "refreshed": 1, "stale": 0, "failed": 1}},
            "partial",
        ),
        (
            {**RESULT, "failed_in_part": True, "counts": {"tokens": 2, "refreshed": 0, "stale": 2, "failed": 0}},
            "failed",
        ),
        ({**RESULT, "failed_in_part": True}, "failed"),
    ],
)
def test_a_collections_state_is_that_of_its_last_event(call: Call, extra: dict[str, Any], expected: str) -> None:
    assert rows(call, events=[event(extra)])[0]["state"] == expected


def test_a_running_task_goes_before_a_failed_one_and_a_failed_one_before_an_older_event(call: Call) -> None:
    events, failed = (
        [event(RESULT, timedelta(hours=3))],
        [task("failed", end_date=(NOW - timedelta(hours=2)).isoformat())],
    )

    assert rows(call, events=events, failed=failed)[0]["state"] == "failed"
    assert rows(call, events=[event(RESULT)], failed=failed)[0]["state"] == "fresh"
    assert rows(call, events=events, failed=failed, active=[task("deferred")])[0]["state"] == "running"


@pytest.mark.parametrize(("age_days", "expected"), [(None, "never"), (1, "updated"), (40, "old")])
def test_a_collection_without_a_readable_event_has_the_state_that_its_time_allows(
    call: Call, age_days: int | None, expected: str
) -> None:
    last = None if age_days is None else {"id": 1, "timestamp": (NOW - timedelta(days=age_days)).isoformat()}

    assert rows(call, assets=[asset(last_asset_event=last)])[0]["state"] == expected


def test_an_event_of_another_mapped_task_does_not_hide_the_result(call: Call) -> None:
    found = rows(call, events=[event(RESULT, timedelta(minutes=2)), event({}, timedelta(minutes=1))])

    assert (found[0]["state"], found[0]["lastAt"]) == ("fresh", NOW_MS - 120_000)


def test_a_mapped_task_is_about_the_collection_that_it_names(call: Call) -> None:
    assets = [asset(1), asset(2, OTHER)]

    assert call("addressOfTask", task(rendered_map_index=f"Collection {OTHER.upper().replace('X', 'x')}")) == OTHER
    found = rows(
        call, assets=assets, failed=[task("failed", map_index=1, rendered_map_index=OTHER, end_date=NOW.isoformat())]
    )
    assert [row["state"] for row in found] == ["never", "failed"]
    batch = rows(call, assets=assets, failed=[task("failed", end_date=NOW.isoformat())])
    assert [row["state"] for row in batch] == ["failed", "failed"]


def test_the_cost_of_a_batch_is_shared_by_its_collections(call: Call) -> None:
    batch = {**RESULT, "compute_units": None, "usd": None, "batch": {"contracts": 4, "compute_units": 100, "usd": 0.2}}

    assert call("costOf", event(batch)) == {"units": 25, "usd": 0.05, "isShare": True}
    assert call("costOf", event({**RESULT, "compute_units": 7, "usd": None})) == {
        "units": 7,
        "usd": None,
        "isShare": False,
    }
    assert call("costOf", event({})) == {"units": None, "usd": None, "isShare": False}


def test_sums_are_of_thirty_days_and_of_the_month(call: Call) -> None:
    events = [event({**RESULT, "compute_units": 10, "usd": 0.5}, timedelta(days=age)) for age in (1, 10, 20, 29, 31)]

    found = rows(call, events=events)
    assert (found[0]["units30"], found[0]["usd30"]) == (40, 2)
    totals = call("summarize", found, events, NOW_MS)
    assert totals == {"collections": 1, "running": 0, "failed": 0, "units": 20, "usd": 1}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (("alchemy_collection", {"supply": 200, "tokens": 100, "refreshed": 50}), 25),
        (("alchemy_collection", {"tokens": 100, "refreshed": 50}), 50),
        (("alchemy_collection", {}), None),
        (("alchemy_reingest", {"percent": 12.5}), 12),
        (("alchemy_reingest", {"percent": None}), None),
        (
            (
                "alchemy_batch",
                {"contracts": 40, "finished": pack_ids(range(17)), "failed": {"gone": pack_ids([20, 30, 31])}},
            ),
            50,
        ),
        (("another", None), None),
    ],
)
def test_progress_is_what_the_task_keeps_in_its_store(call: Call, entry: tuple[str, Any], expected: int | None) -> None:
    key, state = entry
    assert call("progressOf", [{"key": key, "value": {"state": state}}]) == expected


def test_rows_without_a_value_come_last_in_both_directions(call: Call) -> None:
    def row(uri: str, last: int | None) -> dict[str, Any]:
        return {"uri": uri, "lastAt": last}

    unsorted = [row("a", None), row("b", 1), row("c", 3)]
    assert [one["uri"] for one in call("sortRows", unsorted, "last")] == ["b", "c", "a"]
    assert [one["uri"] for one in call("sortRows", unsorted, "-last")] == ["c", "b", "a"]


def test_a_view_goes_through_the_address_and_nonsense_in_it_is_dropped(call: Call) -> None:
    view = {"q": "a&b=c", "network": "eth-mainnet", "state": "failed", "sort": "-cost", "page": 3, "open": 7}

    query = call("writeView", view, "?other=1")
    assert "other=1" in query
    assert call("readView", query) == view
    first = call("readView", "")
    assert call("readView", "?sort=__proto__&state=constructor&page=-1&open=x") == first
    assert call("writeView", first, "?sort=cost&page=2&other=1") == "?other=1"


@pytest.mark.parametrize(
    ("usd", "expected"),
    [(None, "\N{EN DASH}"), (0, "$0.00"), (1234.5, "$1,234.50"), (0.000496, "$0.000496"), (0.01, "$0.01")],
)
def test_money_is_written_with_the_digits_that_matter(call: Call, usd: float | None, expected: str) -> None:
    assert call("formatUsd", usd) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s ago"), (59, "59 s ago"), (61, "1 min ago"), (7300, "2 h ago"), (200_000, "2 d ago")],
)
def test_times_are_told_as_an_age(call: Call, seconds: int, expected: str) -> None:
    assert call("formatAgo", NOW_MS - 1000 * seconds, NOW_MS) == expected
