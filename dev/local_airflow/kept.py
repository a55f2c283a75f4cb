# SPDX-License-Identifier: Apache-2.0
"""The record of a local Airflow that was left running, and how it is ended by a later process.

It exists because a pid alone is not enough to kill by: after a while it may be somebody else's.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from dev.local_airflow.ending import end_instance
from dev.local_airflow.errors import LocalAirflowError
from dev.local_airflow.processes import ProcessIdentity, living

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEPT_FILE = "local_airflow_kept.json"


@dataclass(frozen=True)
class Kept:
    """A local Airflow that was left running.

    :param instance_id: Which; the mark of its processes.
    :param url: The URL of its API server.
    :param processes: The first process of each component.
    """

    instance_id: str
    url: str
    processes: Mapping[str, ProcessIdentity]

    def living(self) -> set[ProcessIdentity]:
        """Find what still runs of it.

        :returns: Processes that are verified to be its own, by mark or by the time they started.
        """
        return living(self.processes.values(), self.instance_id, None)


def write_kept(home: Path, kept: Kept) -> None:
    """Record what is left running.

    :param home: The home folder.
    :param kept: What.
    """
    (home / KEPT_FILE).write_text(json.dumps(asdict(kept), indent=2) + "\n", encoding="utf-8")


def read_kept(home: Path) -> Kept | None:
    """Read the record.

    :param home: The home folder.
    :returns: It, or None when there is none.
    """
    file = home / KEPT_FILE
    if not file.exists():
        return None
    record = json.loads(file.read_text(encoding="utf-8"))
    processes = {name: ProcessIdentity(**identity) for name, identity in record["processes"].items()}
    return Kept(instance_id=record["instance_id"], url=record["url"], processes=processes)


def stop_kept(home: Path) -> bool:
    """End what was left running, and verify that nothing is left.

    :param home: The home folder.
    :returns: Whether anything still ran.
    :raises LocalAirflowError: When something survives.
    """
    kept = read_kept(home)
    if kept is None:
        return False
    ran = bool(kept.living())
    left = end_instance(kept.instance_id, kept.processes)
    if left:
        msg = f"Processes {sorted(process.pid for process in left)} of the Airflow in {home} survive SIGKILL."
        raise LocalAirflowError(msg)
    (home / KEPT_FILE).unlink()
    return ran


def fail_if_kept_runs(home: Path) -> None:
    """Complain if one that was left running still runs there.

    :param home: The home folder.
    :raises LocalAirflowError: When it does.
    """
    kept = read_kept(home)
    if kept and kept.living():
        msg = f"An Airflow that was kept still runs in {home}, at {kept.url}. End it first, with stop_kept."
        raise LocalAirflowError(msg)
