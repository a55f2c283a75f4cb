# SPDX-License-Identifier: Apache-2.0
"""What Airflow's metadata database holds: the stored events of assets and the kept places of watches."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from airflow_provider_alchemy.chain.watch import AssetCursors, Cursor, slot_of
from airflow_provider_alchemy.triggers.chain import CURSOR_KEY
from tests.e2e.chain.dags.watchers import Watched

EVENTS = text("SELECT e.id, a.name, e.extra FROM asset_event e JOIN asset a ON a.id = e.asset_id ORDER BY e.id")
KEPT = text(
    "SELECT s.value FROM asset_state_store s JOIN asset a ON a.id = s.asset_id WHERE a.name = :asset AND s.key = :key"
)

TRIGGERS = text("SELECT w.trigger_id FROM asset_watcher w JOIN asset a ON a.id = w.asset_id WHERE a.name = :asset")

PROGRESS = text("SELECT (SELECT count(*) FROM asset_event), (SELECT max(updated_at)::text FROM asset_state_store)")

UNDER_WAY = text(
    "SELECT EXISTS (SELECT FROM asset_dag_run_queue WHERE target_dag_id = :dag_id)"
    " OR EXISTS (SELECT FROM dag_run WHERE dag_id = :dag_id AND state NOT IN ('success', 'failed'))"
)


@dataclass(frozen=True)
class Told:
    """
    An event of an asset.

    :param number: Its place in the order in which the events were stored.
    :param asset: The asset's name.
    :param contract: The contract that it is about.
    :param event_ids: What is told.
    """

    number: int
    asset: str
    contract: str
    event_ids: tuple[str, ...]


class Records:
    """
    The metadata database of an Airflow.

    :param url: Its URL for SQLAlchemy.
    """

    def __init__(self, url: str) -> None:
        # No connection is left open: the server would wait for it when it ends.
        self._engine = create_engine(url, poolclass=NullPool)

    def told(self, assets: Collection[str]) -> list[Told]:
        with self._engine.connect() as connection:
            rows = connection.execute(EVENTS).all()
        return [
            Told(number, asset, extra["payload"]["contract_address"], tuple(extra["payload"]["event_ids"]))
            for number, asset, extra in rows
            if asset in assets
        ]

    def last_event(self) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(text("SELECT coalesce(max(id), 0) FROM asset_event")).scalar_one())

    def progress(self) -> tuple[int, str | None]:
        """Read how far the watches have come: the number of events, and when a place was kept last."""
        with self._engine.connect() as connection:
            events, kept_at = connection.execute(PROGRESS).one()
        return events, kept_at

    def ids(self, asset: str) -> Counter[str]:
        """Count how often each id was told for an asset."""
        return counted(self.told({asset}))

    def places(self, watched: Watched) -> Cursor:
        """Give the next block of each contract, as it is kept."""
        with self._engine.connect() as connection:
            value = connection.execute(KEPT, {"asset": watched.asset, "key": CURSOR_KEY}).scalar()
        slot = slot_of(watched.network, watched.events, watched.confirmations)
        cursors = AssetCursors.from_json(json.loads(value or "null"))
        # Without the slot of its own a watch may go on where another one of the asset is: that is not kept for it yet.
        return cursors.cursor_of(slot, watched.contracts) if slot in cursors.slots else {}

    def triggers(self, asset: str) -> set[int]:
        """Give the triggers that watch an asset now."""
        with self._engine.connect() as connection:
            return set(connection.execute(TRIGGERS, {"asset": asset}).scalars())

    def has_runs_under_way(self, dag_id: str) -> bool:
        """Tell whether a run of a DAG is going on, or stored events are to start one."""
        with self._engine.connect() as connection:
            return bool(connection.execute(UNDER_WAY, {"dag_id": dag_id}).scalar_one())


def counted(told: Iterable[Told]) -> Counter[str]:
    return Counter(event_id for one in told for event_id in one.event_ids)
