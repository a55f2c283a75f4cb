# SPDX-License-Identifier: Apache-2.0
"""
Which process of pytest-xdist runs which end-to-end test: those of a folder share an Airflow, and so a process.

A plugin, for ``--dist loadscope``. The ``loadgroup`` of pytest-xdist 3.8 would do, but pytest 9.2 does not show it the
groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import Scheduling


LONGEST = ("tests/e2e/cluster", "tests/e2e/chain", "tests/local_airflow")
"""Folders whose tests begin first, so that no process has them left when the others have nothing to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest folders first."""
    places = {folder: place for place, folder in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(folder_of(item.nodeid), len(places)))


def folder_of(nodeid: str) -> str:
    """Give a test's folder, below the root of the project."""
    return nodeid.partition("::")[0].rpartition("/")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """Keep each folder together."""
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler.loadscope import LoadScopeScheduling  # noqa: PLC0415 - only where xdist is in use

    class FolderScheduling(LoadScopeScheduling):  # type: ignore[misc]  # it comes without types
        def _split_scope(self, nodeid: str) -> str:
            return folder_of(nodeid)

    return FolderScheduling(config, log)
