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
from local_airflow.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_airflow.components import Components

# The API server has no heartbeat: that it reports at all is its health, and that of the database.
REPORTED_AS = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}


def wait_healthy(
    api: RestApi, components: Components, started: Mapping[str, datetime], deadline_seconds: float
) -> None:
    """Wait until components are healthy, and the database.

    :param api: Whom to ask.
    :param components: What must not end meanwhile.
    :param started: Component name to when its process was started.
    :param deadline_seconds: Seconds it may take.
    :raises LocalAirflowError: When they do not become healthy, or one ends.
    """

    def healthy() -> bool:
        components.fail_if_dead()
        return not _unhealthy(api, started)

    def lacking() -> str:
        return f"Airflow did not become healthy: it lacks {', '.join(_unhealthy(api, started)) or 'nothing any more'}"

    wait_until(healthy, deadline_seconds=deadline_seconds, failure=lacking)


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
