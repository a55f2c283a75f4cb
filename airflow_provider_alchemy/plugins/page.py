# SPDX-License-Identifier: Apache-2.0
"""
The page *Alchemy* in Airflow's web UI, from 3.1; from 3.4 a tab on an asset's page as well.

Airflow loads this module in each of its processes and does not authenticate what a plugin serves. So the plugin serves
static files only, and loads what serves them when the first is asked for; the page asks Airflow's own REST API with the
user's session.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowPlugin, conf
from airflow.providers.common.compat.version_compat import get_base_airflow_version_tuple

from airflow_provider_alchemy import __version__

URL_PREFIX = "/alchemy"
STATIC = Path(__file__).parent / "static"
SCRIPT = "alchemy.js"

_NAME = "Alchemy"
_HAS_PAGES = get_base_airflow_version_tuple() >= (3, 1, 0)
_HAS_ASSET_TABS = get_base_airflow_version_tuple() >= (3, 4, 0)


class StaticFilesApp:
    """The files of the page as an ASGI application."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await _static_files()(scope, receive, send)


@cache
def _static_files() -> Any:
    from starlette.staticfiles import StaticFiles  # noqa: PLC0415 - Airflow's API server has it, no other process needs it

    return StaticFiles(directory=STATIC)


def _url_of(file: str) -> str:
    # Airflow 3.1 resolves it against its own script, later ones against the page: a path from the root suits both. The
    # version makes browsers load a new one.
    path = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    return f"{path}{URL_PREFIX}/{file}?v={__version__}"


def _react_apps() -> list[dict[str, Any]]:
    if not _HAS_PAGES:
        return []
    icon = _url_of("icon.svg")
    page = {"name": _NAME, "bundle_url": _url_of(SCRIPT), "icon": icon, "icon_dark_mode": icon}
    apps = [{**page, "destination": "nav", "url_route": "alchemy"}]
    if _HAS_ASSET_TABS:
        apps.append({**page, "destination": "asset", "url_route": "alchemy-asset"})
    return apps


class AlchemyPlugin(AirflowPlugin):
    """What the entry point ``airflow.plugins`` names; it has nothing to show before Airflow 3.1."""

    name = "alchemy"
    fastapi_apps = [{"name": _NAME, "app": StaticFilesApp(), "url_prefix": URL_PREFIX}] if _HAS_PAGES else []
    react_apps = _react_apps()
