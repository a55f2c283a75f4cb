# SPDX-License-Identifier: Apache-2.0
"""In which order a local Airflow ends: Airflow first, its servers after it.

It exists because three sides end one (its owner, the watchdog, a later process that stops a kept one), and a
server that goes first leaves Airflow to spend its last seconds on lost connections.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from dev.local_airflow.processes import ProcessIdentity, end_all, living, marked_processes, send

if TYPE_CHECKING:
    from collections.abc import Mapping

DATABASE_SERVER, QUEUE_SERVER = "postgresql", "redis"
SERVERS = (DATABASE_SERVER, QUEUE_SERVER)
SERVER_SECONDS = 60.0
"""How long servers may take to end in good order."""


def end_instance(instance_id: str, leaders: Mapping[str, ProcessIdentity]) -> set[ProcessIdentity]:
    """End everything of a local Airflow, by force if need be.

    :param instance_id: Which local Airflow.
    :param leaders: The processes that were started for it, by component.
    :returns: What is left after all this; empty if all went well.
    """
    servers = {leaders[name] for name in SERVERS if name in leaders}

    def everything() -> set[ProcessIdentity]:
        return living(leaders.values(), instance_id, None)

    def airflow() -> set[ProcessIdentity]:
        return everything().difference(servers, *(marked_processes(instance_id, name) for name in SERVERS))

    def ask_servers() -> None:
        # Only the first process of each, which knows how to end the others; SIGTERM would make PostgreSQL wait for
        # its clients.
        send(servers, signal.SIGINT)

    end_all(airflow)
    return end_all(everything, ask=ask_servers, term_seconds=SERVER_SECONDS)
