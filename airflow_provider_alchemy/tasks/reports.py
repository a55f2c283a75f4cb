# SPDX-License-Identifier: Apache-2.0
"""What a task tells beside its return value: its result where it fails, and lists too long for an XCom."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.api.logs import Log


def push_result(task: Any, context: Any, result: dict[str, Any]) -> None:
    """
    Push what a task would return: Airflow does so only for a task that ends well.

    :param task: The task.
    :param context: The task's context.
    :param result: What it would return.
    """
    if not task.do_xcom_push:
        return
    values = {**(result if task.multiple_outputs else {}), "return_value": result}
    try:
        for key, value in values.items():
            context["ti"].xcom_push(key=key, value=value)
    except Exception as error:  # noqa: BLE001 - why the task failed is what it must end with
        task.log.warning("Could not push the result: %s", error)


def write_report(path: Any, lines: Iterable[str], log: Log) -> None:
    """
    Write the full list of tokens that are not proven fresh.

    :param path: Where: any path that Airflow's ``ObjectStoragePath`` takes, such as ``s3://aws_default@bucket/key``.
    :param lines: JSON lines.
    :param log: The task's log.
    :raises AlchemyArgumentError: It cannot be written there.
    """
    number = 0
    try:
        target = ObjectStoragePath(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w") as report:  # type: ignore[no-untyped-call]  # Airflow's class is not typed
            for line in lines:
                report.write(line)
                number += 1
    except Exception as error:
        msg = f"the report cannot be written to {str(path)!r} (argument 'report_path'): {type(error).__name__}: {error}"
        raise AlchemyArgumentError(msg, advice="Mend the path or its connection, and retry the task") from error
    log.info("%s: %s tokens that are not proven fresh", path, f"{number:,}")
