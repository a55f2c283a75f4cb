# SPDX-License-Identifier: Apache-2.0
"""Whether components are healthy: from the API server's own report, and for workers from the workers.

It exists because the report still calls a killed component healthy for a while, and of several triggerers it
names the luckiest: only a heartbeat of a process that was started later proves that one.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from dev.local_airflow.command_lines import TRIGGERER, WORKER
from dev.local_airflow.errors import LocalAirflowError
from dev.local_airflow.rest import ApiServerUnreachableError, RestApi
from dev.local_airflow.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from dev.local_airflow.components import Components

LOOK_SECONDS = 0.5
"""Between two looks: each takes the API server 20 ms, while what is waited for wants the cores to start."""

# The API server has no heartbeat: that it reports at all is its health, and that of the database.
REPORTED_AS = {"scheduler": "scheduler", "dag-processor": "dag_processor"}


class Workers(Protocol):
    """Whoever can reach the workers."""

    def silent_workers(self, names: Collection[str]) -> list[str]:
        """Ask workers whether they take tasks.

        :param names: Their names.
        :returns: Those that do not answer.
        """


def wait_healthy(
    api: RestApi,
    components: Components,
    started: Mapping[str, datetime],
    *,
    workers: Workers | None,
) -> None:
    """Wait until components are healthy, and the database.

    :param api: Whom to ask.
    :param components: Those that are started must not end meanwhile, nor the API server.
    :param started: Component name to when its process was started.
    :param workers: Whom to ask about workers; None where there are none.
    :raises LocalAirflowError: When they do not become healthy, or one ends.
    """

    def healthy() -> bool:
        components.fail_if_dead({*started, "api-server"})
        return not _unhealthy(api, started, workers)

    def lacking() -> str:
        names = _unhealthy(api, started, workers)
        return f"Airflow did not become healthy: it lacks {', '.join(names) or 'nothing any more'}"

    wait_until(healthy, moves=lambda: components.start_effort(started), failure=lacking, interval_seconds=LOOK_SECONDS)


def _unhealthy(api: RestApi, started: Mapping[str, datetime], workers: Workers | None) -> list[str]:
    try:
        report = api.health()
        triggerers = _waiting_triggerers(api, started)
    except ApiServerUnreachableError:
        return ["api-server"]
    except LocalAirflowError as error:
        return [f"api-server ({error})"]
    unhealthy = [] if report["metadatabase"]["status"] == "healthy" else ["metadatabase"]
    unhealthy += [name for name in started if name in REPORTED_AS and not _is_fresh(report, name, started[name])]
    unhealthy += triggerers
    # Last, since the question takes a second, and is of no use while something else is missing.
    if workers and not unhealthy:
        unhealthy = workers.silent_workers([name for name in started if name.startswith(WORKER)])
    return unhealthy


def _is_fresh(report: Mapping[str, Any], component: str, since: datetime) -> bool:
    name = REPORTED_AS[component]
    heartbeat = report[name][f"latest_{name}_heartbeat"]
    return heartbeat is not None and datetime.fromisoformat(heartbeat) > since and report[name]["status"] == "healthy"


def _waiting_triggerers(api: RestApi, started: Mapping[str, datetime]) -> list[str]:
    """List the triggerers whose job in the database has not begun.

    A job does not say which process it is, so the jobs that began after the first of these processes are counted.
    """
    names = sorted(name for name in started if name.startswith(TRIGGERER))
    if not names:
        return []
    since = min(started[name] for name in names)
    jobs = api.get("jobs", job_type="TriggererJob", start_date_gte=since.isoformat(), is_alive=True)["jobs"]
    return names[len(jobs) :]
