# SPDX-License-Identifier: Apache-2.0
"""A browser, and one real Airflow on PostgreSQL with collections in all states."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from tests.e2e.page.stage import Stage, open_stage

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 120_000
"""What is on the screen in the end is what counts, and a busy machine takes its time for it."""

NO_BROWSER = "No Chromium: apt install chromium, or .venv/bin/playwright install chromium"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    installed = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    with sync_playwright() as playwright:
        try:
            # In a container there may be no user namespaces for its sandbox; it loads nothing but this Airflow.
            started = playwright.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        except Error:
            pytest.fail(NO_BROWSER)
        yield started
        started.close()


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_stage(tmp_path_factory.mktemp("airflow")) as opened:
        yield opened


class Visit:
    """
    A user's browser at the page, with what it asked for and complained about.

    :param page: The browser's page.
    :param url: Where Airflow is.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def _note_message(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} {message.location.get('url')}")

    def open(self, query: str = "", *, waits_for: str = ".alchemy table, .alchemy .message") -> Page:
        self.page.goto(f"{self.url}/plugin/alchemy{query}")
        self.page.wait_for_selector(waits_for)
        return self.page

    @property
    def own_requests(self) -> list[str]:
        """What the page itself asked for: Airflow's UI asks for its plugins first, and then loads the page."""
        begun = next(index for index, url in enumerate(self.requests) if "/alchemy/alchemy.js" in url)
        return [url.removeprefix(self.url) for url in self.requests[begun:]]


@pytest.fixture
def visit(stage: Stage, browser: Browser) -> Iterator[Callable[..., Visit]]:
    contexts = []
    expect.set_options(timeout=PATIENCE_MS)

    def new(role: str | None = "admin", **options: Any) -> Visit:
        context = browser.new_context(viewport={"width": 1600, "height": 1000}, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.add_cookies([{"name": "_token", "value": stage.airflow.token_of(role), "url": stage.airflow.url}])
        return Visit(context.new_page(), stage.airflow.url)

    yield new
    for context in contexts:
        context.close()
