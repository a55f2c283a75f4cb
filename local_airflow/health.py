# SPDX-License-Identifier: Apache-2.0
"""Whether components are healthy, from the API server's own report.

It exists because the report still calls a killed component healthy for a while: only a heartbeat later
than the start of the process that is waited for proves that one.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from local_airflow.errors import LocalAirflowError
from local_airflow.rest import ApiServerUnreachableError, RestApi

if TYPE_CHECKING:
    from collections.abc import Mapping

# The API server has no heartbeat: that it reports at all is its health, and that of the database.
REPORTED_AS = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}


def is_healthy(api: RestApi, started: Mapping[str, datetime]) -> bool:
    """Ask whether components are healthy.

    :param api: Whom to ask.
    :param started: Component name to when its process was started.
    :returns: Whether all of them are, and the database.
    """
    return not _unhealthy(api, started)


def missing_health(api: RestApi, started: Mapping[str, datetime]) -> str:
    """Say what is not healthy.

    :param api: Whom to ask.
    :param started: Component name to when its process was started.
    :returns: The end of a sentence.
    """
    return f"it lacks {', '.join(_unhealthy(api, started)) or 'nothing any more'}"


def _unhealthy(api: RestApi, started: Mapping[str, datetime]) -> list[str]:
    try:
        report = api.health()
    except ApiServerUnreachableError:
        return ["api-server"]
    except LocalAirflowError as error:
        return [f"api-server ({error})"]
    unhealthy = [] if report["metadatabase"]["status"] == "healthy" else ["metadatabase"]
    for component, since in started.items():
        name = REPORTED_AS.get(component)
        if name is None:
            continue
        heartbeat = report[name][f"latest_{name}_heartbeat"]
        fresh = heartbeat is not None and datetime.fromisoformat(heartbeat) > since
        if not fresh or report[name]["status"] != "healthy":
            unhealthy.append(component)
    return unhealthy
