# SPDX-License-Identifier: Apache-2.0
"""Triggers for the real triggerer that exist only to be measured with, or to measure."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Hashable
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger
from dev.benchmarks.loop_watch import LoopWatch

SAMPLE_SECONDS = 1.0


class OwnPollTrigger(MetadataUpdateTrigger):
    """The reference: a watcher that shares nothing with others, as an ordinary trigger does."""

    def shared_stream_key(self) -> Hashable:
        """
        Name no shared stream.

        :return: None: Airflow calls ``run``.
        """
        return None


class LoopWatchTrigger(BaseEventTrigger):
    """
    Watch the triggerer's own event loop, and its memory.

    :param file: Where a line of JSON goes every second: ``at`` (seconds since the epoch), ``late_seconds`` (the longest
        delay of that second) and ``resident_bytes``.
    """

    def __init__(self, file: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's trigger base is not typed
        self.file = file

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """
        Give what the triggerer needs to build this trigger again.

        :return: Class path and arguments.
        """
        return f"{__name__}.{type(self).__qualname__}", {"file": self.file}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Watch for as long as the triggerer runs.

        :return: No event.
        """
        while True:
            async with LoopWatch() as watch:
                await asyncio.sleep(SAMPLE_SECONDS)
            sample = {"at": time.time(), "late_seconds": watch.latest_seconds, "resident_bytes": watch.peak_bytes}
            with Path(self.file).open("a", encoding="utf-8") as lines:  # noqa: ASYNC230 - some ten microseconds
                lines.write(json.dumps(sample) + "\n")
        yield TriggerEvent(None)  # never: it makes this an asynchronous generator
