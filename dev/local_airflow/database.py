# SPDX-License-Identifier: Apache-2.0
"""The metadata database of a home, in one of two kinds, with the same few questions to each.

SQLite is a file, migrated by Airflow once and copied for the next fresh home, because ``airflow db migrate`` is
a third of the time to start on two cores, and makes the same file each time. The copy lives in this process's
memory only, so that it can never be an old one. PostgreSQL is a server, which has a module of its own.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from dev.local_airflow.errors import LocalAirflowError
from dev.local_airflow.packages import fail_if_missing
from dev.local_airflow.postgresql import PACKAGES, PostgresqlDatabase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dev.local_airflow.components import Components

DatabaseKind = Literal["sqlite", "postgresql"]
DATABASE_FILE = "airflow.db"

_pristine: dict[frozenset[tuple[str, str]], bytes] = {}
_pristine_lock = threading.Lock()


class MetadataDatabase(Protocol):
    """What a local Airflow asks of its database."""

    @property
    def path(self) -> Path:
        """The file or folder of its data."""

    @property
    def url(self) -> str:
        """The URL for SQLAlchemy."""

    @property
    def servers(self) -> Mapping[str, Sequence[str]]:
        """The command lines of what must run for it, by name."""

    def open(self, components: Components, extra_environment: Mapping[str, str]) -> None:
        """Start what must run, and make the tables, or bring those of a used home up to date.

        :param components: Runs the commands.
        :param extra_environment: What the caller set; its Airflow settings may change the tables.
        :raises LocalAirflowError: When a step fails.
        """

    def wait_ready(self, components: Components) -> None:
        """Wait until what runs for it answers again.

        :param components: Runs it.
        :raises LocalAirflowError: When it does not.
        """

    def release(self) -> None:
        """Give up what was reserved for it."""


class SqliteDatabase:
    """A file in the home.

    :param home: The home folder.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / DATABASE_FILE
        # 30 seconds for a lock, since SQLite has one writer and tasks of a mapped operator end together.
        self.url = f"sqlite:///{self.path}?timeout=30"
        self.servers: Mapping[str, Sequence[str]] = {}

    def open(self, components: Components, extra_environment: Mapping[str, str]) -> None:
        """Make the tables, or bring those of a used home up to date.

        :param components: Runs the command.
        :param extra_environment: What the caller set; its Airflow settings may change the tables.
        :raises LocalAirflowError: When the command fails.
        """
        fresh = not self.path.exists()
        kind = frozenset(item for item in extra_environment.items() if item[0].startswith("AIRFLOW__"))
        with _pristine_lock:
            known = _pristine.get(kind)
        if fresh and known is not None:
            self.path.write_bytes(known)
            return
        components.run_command("db-migrate", ["db", "migrate"])
        # Where there is a write-ahead log the file alone is not the whole database; and a caller may have
        # chosen another database.
        if fresh and self.path.exists() and not self.path.with_name(f"{DATABASE_FILE}-wal").exists():
            with _pristine_lock:
                _pristine[kind] = self.path.read_bytes()

    def wait_ready(self, components: Components) -> None:
        """Do nothing: a file is always ready.

        :param components: Runs nothing for it.
        """

    def release(self) -> None:
        """Do nothing: a file reserves nothing."""


def database_type(kind: DatabaseKind) -> type[SqliteDatabase | PostgresqlDatabase]:
    """Choose the database, and see that its packages are there.

    :param kind: Which.
    :returns: Its class, which takes the home folder.
    :raises LocalAirflowError: When there is no such kind, or a package is missing.
    """
    if kind not in get_args(DatabaseKind):
        msg = f"There is no database {kind!r}; there are {', '.join(get_args(DatabaseKind))}."
        raise LocalAirflowError(msg)
    if kind == "sqlite":
        return SqliteDatabase
    fail_if_missing(PACKAGES, "on PostgreSQL")
    return PostgresqlDatabase
