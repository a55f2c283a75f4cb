# SPDX-License-Identifier: Apache-2.0
"""
How far a batch is, kept outside the triggerer: it may be killed at any time, after hours of polling.

Airflow 3.3 gives a task's processes a store, but none to its trigger. What a trigger can reach is Airflow's Variables,
so each running batch has one; it is deleted when the batch ends.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self
from uuid import uuid4

from airflow.providers.common.compat.sdk import Variable

from airflow_provider_alchemy.api.batches import BatchRecord
from airflow_provider_alchemy.api.logs import Log

UNSAVED_SHARE = 0.01
"""How many of the ends may be unsaved before they are saved at once: so many, at most, are asked for again."""

UNSAVED_SECONDS = 1.0
"""How long a change may be unsaved where it is a smaller share."""

_LAST_SAVE_SECONDS = 5.0


class ProgressVariable:
    """
    The Variable of one task instance.

    :param name: Its name.
    :param first_try: The first of the tries that belong together: a user who clears a task begins anew.
    :param try_number: The try that the progress belongs to.
    :param description: What Airflow's list of Variables says of it.
    """

    def __init__(self, name: str, first_try: int, try_number: int, description: str = "") -> None:
        self.name = name
        self.first_try = first_try
        self.try_number = try_number
        self.description = description

    @classmethod
    def of(cls, task_instance: Any, first_try: int, try_number: int) -> Self:
        """
        Name the Variable of a task instance.

        :param task_instance: The task instance.
        :param first_try: The first of the tries that belong together.
        :param try_number: The try.
        :return: The Variable.
        """
        ti = task_instance
        place = "\n".join((ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index)))
        # Hashed, because the parts together are longer than a Variable's name may be.
        name = f"alchemy_contracts_{hashlib.sha256(place.encode()).hexdigest()[:32]}"
        description = (
            f"How far task {ti.task_id!r} of DAG {ti.dag_id!r} is in run {ti.run_id!r} (airflow-provider-alchemy). "
            "It is deleted when the task ends, and may be deleted where it is left behind."
        )
        return cls(name, first_try, try_number, description)

    def to_dict(self) -> dict[str, Any]:
        """Give what a trigger needs to build this again, as JSON values."""
        return dict(vars(self))

    def read(self) -> dict[str, Any]:
        """
        Read what is kept.

        :return: ``first_try, try_number, owner, record``; an empty dict where nothing is kept for these tries.
        """
        text = Variable.get(self.name, default=None)
        try:
            kept = json.loads(text or "{}")
        except ValueError:
            return {}
        return kept if isinstance(kept, dict) and kept.get("first_try") == self.first_try else {}

    def write(self, record: dict[str, Any], owner: str) -> None:
        """
        Keep a record.

        :param record: What is known (``BatchRecord.to_dict``).
        :param owner: Who knows it.
        """
        kept = {"first_try": self.first_try, "try_number": self.try_number, "owner": owner, "record": record}
        Variable.set(self.name, json.dumps(kept), description=self.description)

    def delete(self) -> None:
        """Delete what is kept."""
        Variable.delete(self.name)


class Progress:
    """
    The progress of a batch in one trigger.

    :param variable: Where to keep it; None: nowhere.
    :param log: The trigger's log.
    """

    def __init__(self, variable: ProgressVariable | None, log: Log) -> None:
        self._variable = variable
        self._log = log
        # Two triggers of one batch may run at once, and the one that is told to end must not delete the other's.
        self._owner = uuid4().hex
        self._record: BatchRecord | None = None
        self._saved_ends = 0
        self._has_changed = asyncio.Event()
        self._is_much = asyncio.Event()
        self._saving: asyncio.Task[None] | None = None
        self._is_out_of_reach = False

    async def recall(self) -> BatchRecord | None:
        """
        Recall how far an earlier trigger of this try was.

        :return: What it knew; None where there was none, or the store is out of reach.
        """
        if self._variable is None:
            return None
        try:
            kept = await asyncio.to_thread(self._variable.read)
        except Exception as error:  # noqa: BLE001 - a store out of reach must not fail a batch: asking joins it
            self._log.warning("Could not read how far an earlier trigger was; beginning anew: %s", error)
            return None
        return BatchRecord.read(kept.get("record")) if kept.get("try_number") == self._variable.try_number else None

    @asynccontextmanager
    async def keeping(self, record: BatchRecord) -> AsyncIterator[None]:
        """
        Keep a record while it changes.

        :param record: The record; ``changed`` must be called when it has changed.
        """
        if self._variable is None:
            yield
            return
        self._record = record
        # At once: from now on the Variable is this trigger's.
        self._has_changed.set()
        self._is_much.set()
        saver = asyncio.create_task(self._save_on())
        is_cancelled = False
        try:
            yield
        except asyncio.CancelledError:
            is_cancelled = True
            raise
        finally:
            saver.cancel()
            await asyncio.gather(saver, return_exceptions=True)
            if self._saving is not None:
                # A save that ended after the Variable was deleted would bring it back.
                await asyncio.wait([self._saving], timeout=_LAST_SAVE_SECONDS)
            if self._has_changed.is_set() and not is_cancelled:
                await self._save()

    def changed(self) -> None:
        """Take notice that the record has changed."""
        if self._record is None:
            return
        self._has_changed.set()
        ended = self._record.ended
        if ended - self._saved_ends > UNSAVED_SHARE * ended:
            self._is_much.set()

    async def forget(self) -> None:
        """Delete what this trigger has kept, where no other trigger has taken over."""
        if self._variable is None or self._record is None:
            return
        if (await asyncio.to_thread(self._variable.read)).get("owner") == self._owner:
            await asyncio.to_thread(self._variable.delete)

    async def _save_on(self) -> None:
        while True:
            await self._has_changed.wait()
            try:
                async with asyncio.timeout(UNSAVED_SECONDS):
                    await self._is_much.wait()
            except TimeoutError:
                pass
            await self._save()
            if self._is_out_of_reach:
                await asyncio.sleep(UNSAVED_SECONDS)

    async def _save(self) -> None:
        if self._variable is None or self._record is None:
            return
        self._has_changed.clear()
        self._is_much.clear()
        saved_before, self._saved_ends = self._saved_ends, self._record.ended
        write = asyncio.to_thread(self._variable.write, self._record.to_dict(), self._owner)
        # A thread cannot be stopped: whoever is cancelled here leaves it to the end of ``keeping``.
        self._saving = asyncio.create_task(write)
        try:
            await asyncio.shield(self._saving)
        except Exception as error:  # noqa: BLE001 - a store out of reach must not fail a batch that is paid for
            self._saved_ends = saved_before
            self._has_changed.set()
            if not self._is_out_of_reach:
                self._log.warning("Could not save how far the batch is; a restart would ask more again: %s", error)
            self._is_out_of_reach = True
        else:
            self._is_out_of_reach = False
