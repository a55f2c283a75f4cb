# SPDX-License-Identifier: Apache-2.0
"""The metadata database of a fresh home: migrated by Airflow once, and copied for the next home.

It exists because ``airflow db migrate`` is a third of the time to start on two cores, and makes the same
file each time. The copy lives in this process's memory only, so that it can never be an old one.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from local_airflow.settings import DATABASE_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local_airflow.components import Components

_pristine: dict[frozenset[tuple[str, str]], bytes] = {}
_pristine_lock = threading.Lock()


def migrate(components: Components, home: Path, extra_environment: Mapping[str, str], deadline_seconds: float) -> None:
    """Make the tables, or bring those of a used home up to date.

    :param components: Runs the command.
    :param home: The home folder.
    :param extra_environment: What the caller set; its Airflow settings may change the tables.
    :param deadline_seconds: Seconds the command may take.
    :raises LocalAirflowError: When the command fails.
    """
    file = home / DATABASE_FILE
    fresh = not file.exists()
    kind = frozenset(item for item in extra_environment.items() if item[0].startswith("AIRFLOW__"))
    with _pristine_lock:
        known = _pristine.get(kind)
    if fresh and known is not None:
        file.write_bytes(known)
        return
    components.run_command("db-migrate", ["db", "migrate"], deadline_seconds=deadline_seconds)
    # Where there is a write-ahead log the file alone is not the whole database; and a caller may have
    # chosen another database.
    if fresh and file.exists() and not file.with_name(f"{DATABASE_FILE}-wal").exists():
        with _pristine_lock:
            _pristine[kind] = file.read_bytes()
