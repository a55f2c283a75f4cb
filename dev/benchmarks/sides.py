# SPDX-License-Identifier: Apache-2.0
"""
The triggers that are compared, each with the arguments that its own deferrable operator or sensor gives it.

Airflow and the providers are imported only where a trigger is made: the process that starts the others needs none
of them, and each side's process only its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pendulum

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

WEEK_SECONDS = 7 * 24 * 3600.0
UNLIMITED_UNITS_PER_SECOND = 100_000_000
"""The throughput of an account that never holds a poll back."""
ANY_KEY = "any-token"
"""The peers' service takes every one."""


@dataclass(frozen=True)
class Side:
    """
    One of the triggers.

    :param trigger: The class's name.
    :param distribution: What it comes with.
    :param make: Makes the trigger of a wait: the wait's number, and the seconds between two polls.
    :param is_right: Whether an event's payload says that the job has ended well.
    :param connect: The environment with which its process finds a server: its URL and its authority's file.
    """

    trigger: str
    distribution: str
    make: Callable[[int, float], BaseTrigger]
    is_right: Callable[[Any], bool]
    connect: Callable[[str, Path], dict[str, str]]


def alchemy_connection(
    url: str, authority: Path, units_per_second: float = UNLIMITED_UNITS_PER_SECOND, key: str = "any-key"
) -> dict[str, str]:
    """
    Write the connection of this package's trigger.

    :param url: The server.
    :param authority: The file of the authority that signed its certificate.
    :param units_per_second: The account's throughput. Default: more than any benchmark uses.
    :param key: The API key; the polled service accepts any.
    :return: One environment variable.
    """
    extra = {"verify": str(authority), "compute_units_per_second": units_per_second}
    fields = {"conn_type": "alchemy", "host": url, "password": key, "extra": extra}
    return {"AIRFLOW_CONN_ALCHEMY_DEFAULT": json.dumps(fields)}


def contract_address(number: int) -> str:
    """
    Name the collection of a wait.

    :param number: The wait's number.
    :return: A contract address of its own.
    """
    return f"0x{number + 1:040x}"


def _alchemy(number: int, interval: float) -> BaseTrigger:
    from airflow_provider_alchemy.triggers.reingest import ReingestTrigger  # noqa: PLC0415 - see above

    # At fixed intervals, as the others.
    return ReingestTrigger(
        contract_address(number), alchemy_conn_id="alchemy_default", poll_interval=interval, adaptive=False
    )


def _http(number: int, interval: float) -> BaseTrigger:
    from airflow.providers.http.triggers.http import HttpSensorTrigger  # noqa: PLC0415 - see above

    return HttpSensorTrigger(
        endpoint=f"jobs/{number}",
        http_conn_id="http_default",
        data={},
        headers={},
        method="GET",
        extra_options={},
        poke_interval=interval,
    )


def _http_connection(url: str, authority: Path) -> dict[str, str]:
    place = urlsplit(url)
    fields = {"conn_type": "http", "schema": place.scheme, "host": place.hostname, "port": place.port}
    return {"AIRFLOW_CONN_HTTP_DEFAULT": json.dumps(fields), **_trusting(authority)}


def _dbt_cloud(number: int, interval: float) -> BaseTrigger:
    from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger  # noqa: PLC0415 - see above

    return DbtCloudRunJobTrigger(
        conn_id="dbt_cloud_default",
        run_id=number,
        end_time=time.time() + WEEK_SECONDS,
        execution_deadline=None,
        account_id=1,
        poll_interval=interval,
        hook_params={},
    )


def _dbt_cloud_connection(url: str, authority: Path) -> dict[str, str]:
    fields = {"conn_type": "dbt_cloud", "host": urlsplit(url).netloc, "login": "1", "password": ANY_KEY}
    return {"AIRFLOW_CONN_DBT_CLOUD_DEFAULT": json.dumps(fields), **_trusting(authority)}


def _trusting(authority: Path) -> dict[str, str]:
    # Neither of the two has a way to name an authority; Python's default context takes it from here.
    return {"SSL_CERT_FILE": str(authority)}


def _sleeping(_: int, interval: float) -> BaseTrigger:
    from airflow.providers.standard.triggers.temporal import DateTimeTrigger  # noqa: PLC0415 - see above

    return DateTimeTrigger(moment=pendulum.now("UTC").add(seconds=4 * interval))


SIDES: Mapping[str, Side] = {
    "sleeping": Side(
        # What Airflow itself takes for a trigger, whatever it does.
        trigger="DateTimeTrigger, which only sleeps",
        distribution="apache-airflow-providers-standard",
        make=_sleeping,
        is_right=lambda _: True,
        connect=lambda _url, _authority: {},
    ),
    "http": Side(
        trigger="HttpSensorTrigger",
        distribution="apache-airflow-providers-http",
        make=_http,
        is_right=lambda payload: payload is True,
        connect=_http_connection,
    ),
    "dbt_cloud": Side(
        trigger="DbtCloudRunJobTrigger",
        distribution="apache-airflow-providers-dbt-cloud",
        make=_dbt_cloud,
        is_right=lambda payload: payload["status"] == "success",
        connect=_dbt_cloud_connection,
    ),
    "alchemy": Side(
        trigger="ReingestTrigger",
        distribution="airflow-provider-alchemy",
        make=_alchemy,
        is_right=lambda payload: payload["status"] == "finished",
        connect=alchemy_connection,
    ),
}
"""The sides by the names that the polled service counts them under, in the order in which they run."""
