# SPDX-License-Identifier: Apache-2.0
"""What Airflow is told of the page. What the page shows is tested in a browser: ``tests/e2e/page``."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any

import pytest

from airflow_provider_alchemy import __version__
from airflow_provider_alchemy.get_provider_info import get_provider_info
from airflow_provider_alchemy.links.collection import EXPLORERS
from airflow_provider_alchemy.plugins import page
from airflow_provider_alchemy.plugins.page import SCRIPT, STATIC, URL_PREFIX, AlchemyPlugin

MAX_BYTES = 60_000


@pytest.fixture
def reload(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., type[Any]]]:
    """Load the plugin as another Airflow or with another configuration does."""

    def load(base_url: str = "http://localhost:8080", *, version: tuple[int, int, int] = (3, 3, 2)) -> type[Any]:
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
        monkeypatch.setattr(
            "airflow.providers.common.compat.version_compat.get_base_airflow_version_tuple", lambda: version
        )
        found: type[Any] = importlib.reload(page).AlchemyPlugin
        return found

    yield load
    monkeypatch.undo()
    importlib.reload(page)


def test_airflow_finds_the_plugin_by_its_entry_point() -> None:
    (found,) = [one for one in entry_points(group="airflow.plugins") if one.name == "alchemy"]

    assert found.load().name == AlchemyPlugin.name
    # Twice would be once too often.
    assert "plugins" not in get_provider_info()


def test_the_plugin_loads_no_web_server() -> None:
    code = (
        "import airflow.plugins_manager, sys; before = set(sys.modules); import airflow_provider_alchemy.plugins.page;"
        "print(*sorted(set(sys.modules) - before))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603 - ours

    loaded = {name.partition(".")[0] for name in found.stdout.splitlines()[-1].split()}
    assert loaded <= {"airflow", "airflow_provider_alchemy", "packaging"}


def test_before_airflow_3_1_there_is_nothing(reload: Callable[..., type[Any]]) -> None:
    plugin = reload(version=(3, 0, 6))

    assert (plugin.fastapi_apps, plugin.react_apps) == ([], [])


@pytest.mark.parametrize(
    ("version", "expected"), [((3, 1, 0), ["nav"]), ((3, 3, 9), ["nav"]), ((3, 4, 0), ["nav", "asset"])]
)
def test_assets_have_a_tab_from_airflow_3_4(
    reload: Callable[..., type[Any]], version: tuple[int, int, int], expected: list[str]
) -> None:
    plugin = reload(version=version)

    assert [app["destination"] for app in plugin.react_apps] == expected
    assert len({app["url_route"] for app in plugin.react_apps}) == len(expected)


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("http://localhost:8080", ""),
        ("https://example.com/", ""),
        ("https://example.com/data/airflow", "/data/airflow"),
        ("https://example.com/airflow/", "/airflow"),
        ("/airflow", "/airflow"),
        ("", ""),
    ],
)
def test_the_script_is_below_airflows_base_url(reload: Callable[..., type[Any]], base_url: str, path: str) -> None:
    plugin = reload(base_url)

    assert plugin.react_apps[0]["bundle_url"] == f"{path}{URL_PREFIX}/{SCRIPT}?v={__version__}"


async def served(file: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    scope = {"type": "http", "method": method, "path": f"{URL_PREFIX}/{file}", "root_path": URL_PREFIX, "headers": []}
    sent: list[dict[str, Any]] = []

    async def receive() -> None:
        # The browser neither sends a body nor goes away.
        await asyncio.Event().wait()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await page.StaticFilesApp()(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize(("file", "kind"), [(SCRIPT, "javascript"), ("icon.svg", "image/svg+xml")])
async def test_the_files_are_served_as_what_they_are(file: str, kind: str) -> None:
    pytest.importorskip("starlette")
    status, headers, body = await served(file)

    assert status == 200
    assert kind in headers["content-type"]
    assert body == (STATIC / file).read_bytes()


@pytest.mark.parametrize("file", ["../page.py", "page.py", "", "static"])
async def test_nothing_else_is_served(file: str) -> None:
    starlette = pytest.importorskip("starlette.exceptions")
    with pytest.raises(starlette.HTTPException, match="404"):
        await served(file)


async def test_nothing_is_changed_by_a_request() -> None:
    starlette = pytest.importorskip("starlette.exceptions")
    with pytest.raises(starlette.HTTPException, match="405"):
        await served(SCRIPT, "POST")


def test_the_script_is_small_and_asks_nobody_but_airflow() -> None:
    text = (STATIC / SCRIPT).read_text(encoding="utf-8")
    addresses = set(re.findall(r"https?://[^\s\"'`]+", text))

    assert len(text.encode()) <= MAX_BYTES
    assert addresses == set(EXPLORERS.values())
    assert text.count("fetch(") == 1


def test_the_script_knows_the_same_block_explorers_as_the_links() -> None:
    text = (STATIC / SCRIPT).read_text(encoding="utf-8")
    table = re.search(r"const EXPLORERS = ({.*?});", text, re.DOTALL)

    assert table is not None
    assert json.loads(re.sub(r",\s*}", "}", table[1])) == EXPLORERS
