# SPDX-License-Identifier: Apache-2.0
"""A ready-made retry policy for tasks with Alchemy: how long to wait after what only this package knows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.version_compat import get_base_airflow_version_tuple

from airflow_provider_alchemy.api.errors import (
    AlchemyArgumentError,
    AlchemyListingError,
    AlchemyQueueFailedError,
    AlchemyQuotaError,
)
from airflow_provider_alchemy.tasks.arguments import read_seconds
from airflow_provider_alchemy.tasks.exceptions import final

if TYPE_CHECKING:
    from airflow.sdk import ExceptionRetryPolicy

MAX_QUOTA_WAIT = timedelta(days=32)
"""A quota lasts until the next month at most: a refusal after that has another reason."""


def alchemy_retry_policy(
    *, quota_delay: float | timedelta = timedelta(days=1), queue_delay: float | timedelta = timedelta(hours=1)
) -> ExceptionRetryPolicy:
    """
    Give a policy for ``retry_policy`` of any operator or sensor (Airflow 3.3).

    A used-up quota of the month is asked again each ``quota_delay`` until the next month, which costs nothing while it
    is refused: on Airflow 3.4 without using up a retry (``RetryAction.RESCHEDULE``), on 3.3 with one of ``retries``. A
    refresh that Alchemy could not queue, and a list of tokens that ended too early, are retried after ``queue_delay``.
    Anything else is left to the task's ``retries`` and ``retry_delay``, or to the next policy of a
    ``ChainRetryPolicy``.

    :param quota_delay: Seconds (or a timedelta) between two tries while the quota is used up. Default a day: a plan may
        be raised within the month.
    :param queue_delay: Seconds (or a timedelta) until the retry of what Alchemy's own trouble ended. Default an hour.
    :return: The policy.
    :raises AlchemyArgumentError: Airflow is older than 3.3, or a delay cannot be right; where the DAG is parsed.
    """
    version = get_base_airflow_version_tuple()
    if version < (3, 3):
        msg = f"retry policies need Airflow 3.3, and this is {'.'.join(map(str, version))}"
        raise final(AlchemyArgumentError(msg, advice="Leave out retry_policy: retries and retry_delay work on each"))
    from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule  # noqa: PLC0415 - Airflow before 3.3 has none

    quota_wait = timedelta(seconds=read_seconds(quota_delay, "quota_delay"))
    queue_wait = timedelta(seconds=read_seconds(queue_delay, "queue_delay"))
    quota: dict[str, Any] = {"action": RetryAction.RETRY}
    if hasattr(RetryAction, "RESCHEDULE"):
        quota = {"action": RetryAction.RESCHEDULE, "reschedule_timeout": MAX_QUOTA_WAIT}
    return ExceptionRetryPolicy(
        rules=[
            RetryRule(exception=AlchemyQuotaError, retry_delay=quota_wait, **quota),
            RetryRule(exception=[AlchemyQueueFailedError, AlchemyListingError], retry_delay=queue_wait),
        ]
    )
