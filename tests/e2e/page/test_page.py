# SPDX-License-Identifier: Apache-2.0
"""What a user sees and does on the page, with the events, tasks and permissions of a real Airflow."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from itertools import takewhile
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from dev.local_airflow.waiting import wait_until
from tests.e2e.page.conftest import Visit
from tests.e2e.page.dags.page import (
    FAILED,
    FAILED_TOKENS,
    FRESH,
    HOSTILE_NAME,
    NEVER,
    NIGHTLY_ADDRESSES,
    NIGHTLY_CONTRACTS,
    PARTIAL,
    RUNNING,
    TOKENS,
    address_of,
)
from tests.e2e.page.stage import HELD_TOKENS, Stage

pytestmark = pytest.mark.e2e

Visiting = Callable[..., Visit]

COLLECTIONS = NIGHTLY_CONTRACTS + 5
ROWS_PER_PAGE = 50
MAX_FIRST_REQUESTS = 6
MANY = 3_000
PAGE_LIMIT = 100


def rows(page: Page) -> Locator:
    return page.locator(".alchemy tbody > tr:has(button.open)")


def only_row(visit: Visit, text: str) -> Locator:
    page = visit.open(f"?q={text}")
    expect(rows(page)).to_have_count(1)
    return rows(page)


def wait_for_history(page: Page) -> None:
    expect(page.get_by_text("Reading earlier refreshes…")).to_have_count(0)


def tile(page: Page, label: str) -> Locator:
    return page.locator(".tile").filter(has_text=label).locator("b")


@pytest.mark.parametrize(
    ("name", "state", "shown"),
    [
        (FRESH, "Refreshed", [f"{TOKENS[FRESH]} / 0 / 0", "fresh / refresh", "publish"]),
        (PARTIAL, "Failed in part", [f"{TOKENS[PARTIAL] - FAILED_TOKENS} / 0 / {FAILED_TOKENS}", "partial / refresh"]),
        (FAILED, "Failed", ["polygon-mainnet", "failed / refresh"]),
        (NEVER, "Never refreshed", ["base-mainnet", "never"]),
    ],
)
def test_a_collection_is_shown_with_its_state_and_who_refreshed_it(
    visit: Visiting, name: str, state: str, shown: list[str]
) -> None:
    row = only_row(visit(), address_of(name))

    expect(row.locator(".state")).to_have_text(re.compile(f"{state}$"))
    for text in shown:
        expect(row).to_contain_text(text)


def test_the_page_is_in_the_navigation_and_opens_without_complaints(visit: Visiting) -> None:
    visitor = visit()
    visitor.page.goto(visitor.url)
    visitor.page.get_by_role("link", name="Alchemy", exact=True).click()
    visitor.page.wait_for_selector(".alchemy table")
    page = visitor.page
    wait_for_history(page)

    expect(tile(page, "Collections")).to_have_text(str(COLLECTIONS))
    expect(tile(page, "Failed in 24 hours")).to_have_text("2")
    expect(tile(page, "Cost this month")).to_contain_text("$")
    expect(rows(page)).to_have_count(ROWS_PER_PAGE)
    assert visitor.complaints == []


def test_the_first_paint_needs_few_requests_and_none_follow_while_nothing_runs(visit: Visiting) -> None:
    visitor = visit()
    page = visitor.open()
    asked = [url for url in visitor.own_requests if "/api/v2/" in url]
    # The others, for further collections and earlier events, go out when the first hundred are drawn.
    first = list(takewhile(lambda url: "offset=" not in url or "offset=0" in url, asked))
    wait_for_history(page)
    expect(tile(page, "Running now")).to_have_text("0")
    known = len(visitor.requests)
    page.clock.install()
    page.clock.run_for(120_000)

    assert len(first) <= MAX_FIRST_REQUESTS
    assert [url for url in visitor.requests[known:] if "/api/v2/assets" in url or "taskInstances" in url] == []


def test_nothing_but_airflows_api_is_asked(visit: Visiting) -> None:
    visitor = visit()
    wait_for_history(visitor.open())

    assert [url for url in visitor.requests if not url.startswith((f"{visitor.url}/", "data:", "blob:"))] == []
    own = [url for url in visitor.own_requests if "/alchemy/" not in url]
    assert {urlsplit(url).path.split("/")[1] for url in own} <= {"api", "static", "ui"}


def test_filter_and_order_are_in_the_address_and_come_back_from_it(visit: Visiting) -> None:
    visitor = visit()
    page = visitor.open()
    page.get_by_label("Network").select_option("polygon-mainnet")
    page.get_by_label("State", exact=True).select_option("failed")
    page.get_by_label("Filter").fill(address_of(FAILED)[:8])
    page.get_by_role("button", name="Last refresh").click()
    expect(page).to_have_url(re.compile("sort=-last"))

    query = parse_qs(urlsplit(page.url).query)
    expected = {"q": address_of(FAILED)[:8], "network": "polygon-mainnet", "state": "failed", "sort": "-last"}
    assert query == {name: [value] for name, value in expected.items()}

    again = visit().open(f"?{urlsplit(page.url).query}")
    expect(rows(again)).to_have_count(1)
    expect(again.get_by_role("columnheader", name="Last refresh")).to_have_attribute("aria-sort", "descending")


def test_the_table_is_ordered_by_the_column_that_was_clicked(visit: Visiting) -> None:
    page = visit().open("?network=eth-mainnet")
    wait_for_history(page)
    page.get_by_role("button", name="30 days").click()
    expect(rows(page).first).to_contain_text(HOSTILE_NAME)

    page.get_by_role("button", name="Collection", exact=True).click()
    expect(rows(page).first).to_contain_text(min(NIGHTLY_ADDRESSES)[:6])


def test_a_row_opens_to_its_refreshes_and_their_failures(visit: Visiting) -> None:
    visitor = visit()
    row = only_row(visitor, address_of(PARTIAL))
    button = row.get_by_role("button", name="History of")
    button.focus()
    visitor.page.keyboard.press("Enter")

    expect(button).to_have_attribute("aria-expanded", "true")
    detail = visitor.page.locator(".detail")
    expect(detail.locator("tbody tr")).to_have_count(1)
    expect(detail).to_contain_text(f": {FAILED_TOKENS}")
    expect(visitor.page).to_have_url(re.compile(r"open=\d+"))


def test_a_failed_row_leads_to_its_task(visit: Visiting) -> None:
    visitor = visit()
    only_row(visitor, address_of(FAILED)).get_by_role("button", name="History of").click()
    visitor.page.locator(".detail").get_by_role("link", name="failed / refresh").click()

    expect(visitor.page).to_have_url(re.compile(r"/dags/failed/runs/[^/]+/tasks/refresh$"))


def test_a_name_with_html_stays_text(visit: Visiting) -> None:
    visitor = visit()
    visitor.page.on("dialog", lambda dialog: visitor.complaints.append(dialog.message))
    row = only_row(visitor, address_of(FRESH))

    expect(row.get_by_role("link", name=HOSTILE_NAME, exact=True)).to_be_visible()
    expect(row.locator("img")).to_have_count(0)
    assert visitor.complaints == []


def test_a_running_refresh_moves_and_ends_without_a_reload(visit: Visiting, stage: Stage) -> None:
    run = stage.airflow.trigger_dag(RUNNING)
    wait_until(
        lambda: any(task.state == "deferred" for task in run.task_instances()),
        moves=stage.airflow.progress,
        failure=lambda: f"The refresh does not wait: {run.state()}",
    )
    visitor = visit()
    row = only_row(visitor, address_of(RUNNING))
    expect(row.locator(".state")).to_have_text(re.compile("Running$"))
    expect(row).to_contain_text("50 %")
    stage.emulator.set_tokens(address_of(RUNNING), HELD_TOKENS, stale=False)
    expect(row.locator(".state")).to_have_text(re.compile("Refreshed$"))
    expect(row).to_contain_text(f"{TOKENS[RUNNING]} / 0 / 0")
    assert visitor.complaints == []


def test_refresh_now_starts_a_run_of_the_dag_that_has_the_outlet(visit: Visiting, stage: Stage) -> None:
    visitor = visit()
    before = len(stage.airflow.runs_of(NEVER))
    row = only_row(visitor, address_of(NEVER))
    row.get_by_role("button", name="Refresh").click()
    expect(row.get_by_role("button", name="Start", exact=True)).to_be_focused()
    visitor.page.keyboard.press("Escape")
    expect(row.get_by_role("button", name="Start", exact=True)).to_have_count(0)
    row.get_by_role("button", name="Refresh").click()
    visitor.page.keyboard.press("Enter")

    expect(row.get_by_role("link", name="Run started")).to_be_visible()
    assert len(stage.airflow.runs_of(NEVER)) == before + 1


def test_a_user_who_may_only_look_starts_nothing(visit: Visiting, stage: Stage) -> None:
    before = len(stage.airflow.runs_of(FRESH))
    row = only_row(visit("viewer"), address_of(FRESH))
    row.get_by_role("button", name="Refresh").click()
    row.get_by_role("button", name="Start", exact=True).click()

    expect(row).to_contain_text(f"You may not start DAG {FRESH}")
    assert len(stage.airflow.runs_of(FRESH)) == before


def answer_with(page: Page, answer: Callable[[Route], object]) -> None:
    page.route(re.compile(r"/api/v2/assets\?"), answer)


def test_a_user_without_permission_gets_nothing_of_others(visit: Visiting) -> None:
    visitor = visit(None)
    for path in ("assets", "assets/events", "dags/~/dagRuns/~/taskInstances"):
        assert visitor.page.context.request.get(f"{visitor.url}/api/v2/{path}").status == HTTPStatus.FORBIDDEN


def test_a_user_who_may_not_see_assets_is_told_so(visit: Visiting) -> None:
    # Each role of the simple auth manager that may open the web UI may read assets.
    visitor = visit()
    answer_with(visitor.page, lambda route: route.fulfill(status=403, json={"detail": "Forbidden"}))

    expect(visitor.open().get_by_role("alert")).to_contain_text("You may not see assets")


def test_without_collections_the_page_says_how_to_get_one(visit: Visiting) -> None:
    visitor = visit()
    answer_with(visitor.page, lambda route: route.fulfill(json={"assets": [], "total_entries": 0}))

    expect(visitor.open().locator(".message")).to_contain_text("There are no collections yet")


def test_an_error_of_the_api_is_shown_and_can_be_tried_again(visit: Visiting) -> None:
    visitor = visit()
    answer_with(visitor.page, lambda route: route.fulfill(status=500, json={"detail": "The database is away"}))
    page = visitor.open()
    expect(page.get_by_role("alert")).to_contain_text("The database is away")

    page.unroute(re.compile(r"/api/v2/assets\?"))
    page.get_by_role("button", name="Try again").click()
    expect(rows(page)).to_have_count(ROWS_PER_PAGE)


def test_a_page_that_is_still_reading_says_so(visit: Visiting) -> None:
    visitor = visit()
    held: list[Route] = []
    answer_with(visitor.page, lambda route: held.append(route))  # noqa: PLW0108 - Playwright takes no builtin
    page = visitor.open(waits_for=".alchemy [role=status]")

    expect(page.locator(".alchemy [role=status]")).to_have_text("Reading the collections…")
    held[0].continue_()
    expect(rows(page)).to_have_count(ROWS_PER_PAGE)


def test_three_thousand_collections_are_read_page_by_page_and_shown_fifty_at_a_time(visit: Visiting) -> None:
    def asset(number: int) -> dict[str, Any]:
        uri = f"alchemy://eth-mainnet/0x{number:040x}"
        lists: dict[str, list[Any]] = {"scheduled_dags": [], "producing_tasks": [], "consuming_tasks": []}
        return {"id": 10_000 + number, "name": uri, "uri": uri, "last_asset_event": None, **lists}

    def answer(route: Route) -> None:
        offset = int(parse_qs(urlsplit(route.request.url).query)["offset"][0])
        found = [asset(number) for number in range(offset, min(offset + PAGE_LIMIT, MANY))]
        route.fulfill(json={"assets": found, "total_entries": MANY})

    visitor = visit()
    answer_with(visitor.page, answer)
    page = visitor.open()

    expect(tile(page, "Collections")).to_have_text(f"{MANY:,}")
    expect(rows(page)).to_have_count(ROWS_PER_PAGE)
    page.get_by_role("button", name="Next").click()
    expect(page).to_have_url(re.compile("page=2"))
    page.get_by_label("Filter").fill(f"{MANY - 1:040x}")
    expect(rows(page)).to_have_count(1)


def test_the_page_has_airflows_theme(visit: Visiting) -> None:
    def lightness(scheme: str) -> list[float]:
        visitor = visit(color_scheme=scheme)
        visitor.page.add_init_script(f"localStorage.setItem('theme', '{scheme}')")
        page = visitor.open()
        script = """(name) => {
            const context = document.createElement("canvas").getContext("2d");
            context.fillStyle = getComputedStyle(document.querySelector(name)).color;
            context.fillRect(0, 0, 1, 1);
            return context.getImageData(0, 0, 1, 1).data[0];
        }"""
        return [page.evaluate(script, name) for name in (".alchemy h1", ".alchemy td", ".alchemy input")]

    assert max(lightness("light")) < min(lightness("dark"))


def test_everything_has_a_name_for_those_who_do_not_see_it(visit: Visiting) -> None:
    page = visit().open()
    page.get_by_role("button", name="History of").first.click()
    page.wait_for_selector(".detail")

    nameless = page.evaluate(
        """() => [...document.querySelectorAll(".alchemy :is(button, a, input, select, progress, svg)")]
            .filter((element) => !element.textContent.trim() && !element.ariaLabel && !element.labels?.length)
            .map((element) => element.outerHTML)"""
    )
    assert nameless == []
    expect(page.get_by_role("columnheader", name="State")).to_have_attribute("aria-sort", "ascending")
