# SPDX-License-Identifier: Apache-2.0
"""What a contract announces on the chain during a soak, and whether the watcher told all of it and started its runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dev.benchmarks.soak.kinds import CONFIRMATIONS, WATCHED, WATCHED_CONTRACT
from dev.benchmarks.soak.plans import Service
from dev.local_airflow import LocalAirflow, LocalAirflowError
from dev.local_airflow.waiting import wait_until

ANNOUNCE_SECONDS = 10.0


class Announcements:
    """
    Mines what the watcher of ``soak_watched`` has to tell.

    :param airflow: Where it watches.
    :param service: The chain.
    :param clock: Gives seconds since the epoch.
    """

    def __init__(self, airflow: LocalAirflow, service: Service, *, clock: Callable[[], float] = time.time) -> None:
        self._airflow = airflow
        self._service = service
        self._clock = clock
        self._next = 0.0
        self._announced: list[str] = []

    def announce_what_is_due(self) -> None:
        """Announce something now and then; it is confirmed at once."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + ANNOUNCE_SECONDS
        made = self._service.post("reveal", address=WATCHED_CONTRACT, token_ids=[len(self._announced)])
        self._announced += [log["id"] for log in made["logs"]]
        self._service.post("mine_blocks", blocks=CONFIRMATIONS)

    def has_begun(self) -> bool:
        """Whether anything that was announced here has been told."""
        return bool(self._events_by_id().keys() & {*self._announced})

    def end(self, still_seconds: float | None = None) -> list[str]:
        """
        Wait until all that was announced since the watcher began is told, and its runs have ended.

        :param still_seconds: How long nothing may get on meanwhile; None for the default of a wait.
        :return: What is missing, as a sentence; empty where nothing is.
        """
        try:
            wait_until(
                lambda: not self._missing(),
                moves=self._missing,
                failure=lambda: f"{WATCHED}: {self._missing()}",
                interval_seconds=1,
                still_seconds=still_seconds,
            )
        except LocalAirflowError as error:
            return [str(error)]
        return []

    def _missing(self) -> str:
        events = self._events_by_id()
        begun = next((place for place, one in enumerate(self._announced) if one in events), 0)
        lost = [one for one in self._announced[begun:] if one not in events]
        if lost:
            return f"{len(lost)} of {len(self._announced) - begun} announcements were never told, such as {lost[0]}."
        states = {run["state"] for one in self._announced[begun:] for run in events[one]["created_dagruns"]}
        without_run = [one for one in self._announced[begun:] if not events[one]["created_dagruns"]]
        if without_run or states - {"success"}:
            others = ", ".join(sorted(map(str, states - {"success"}))) or "none"
            return f"{len(without_run)} announcements started no run; states of runs other than success: {others}."
        return ""

    def _events_by_id(self) -> dict[str, dict[str, Any]]:
        return {
            event_id: event
            for event in self._airflow.asset_events()
            if event["name"] == WATCHED
            for event_id in event["extra"]["payload"]["event_ids"]
        }
