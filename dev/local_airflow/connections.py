# SPDX-License-Identifier: Apache-2.0
"""Adding connections to the metadata database, as an administrator would, with Airflow's own command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dev.local_airflow.errors import LocalAirflowError
from dev.local_airflow.settings import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dev.local_airflow.components import Components


def with_shared_budget(connections: Mapping[str, str], redis_url: str) -> dict[str, str]:
    """Let the connections to Alchemy count their compute units in a Redis, where they do not name one.

    :param connections: Connection id to its JSON or URI; those that are JSON can be changed.
    :param redis_url: The Redis.
    :returns: The connections.
    """
    changed = dict(connections)
    for conn_id, text in connections.items():
        fields = json.loads(text) if text.lstrip().startswith("{") else {}
        if fields.get("conn_type") == "alchemy":
            fields["extra"] = {"shared_budget": redis_url, **(fields.get("extra") or {})}
            changed[conn_id] = json.dumps(fields)
    return changed


def import_connections(components: Components, home: Path, connections: Mapping[str, str]) -> None:
    """Add connections to the database, all with one command, as each command costs seconds to start.

    :param components: Runs the command.
    :param home: Where a file only its owner may read stands meanwhile.
    :param connections: Connection id to its JSON or URI.
    :raises LocalAirflowError: When one could not be added.
    """
    if not connections:
        return
    file = home / "connections_to_import.json"
    parsed = {
        conn_id: json.loads(text) if text.lstrip().startswith("{") else text for conn_id, text in connections.items()
    }
    write_private(file, json.dumps(parsed))
    try:
        components.run_command("connections-import", ["connections", "import", "--overwrite", str(file)])
    finally:
        file.unlink()
    # The command reports a refused connection in its output only, and exits with 0.
    output = components.last_output("connections-import")
    missing = [conn_id for conn_id in connections if f"Imported connection {conn_id}" not in output]
    if missing:
        msg = f"Airflow did not import the connections {', '.join(missing)}:\n{output}"
        raise LocalAirflowError(msg)
