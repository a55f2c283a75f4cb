# SPDX-License-Identifier: Apache-2.0
"""Which exception of Airflow an error becomes, and when a failed task is skipped instead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from airflow_provider_alchemy.api.errors import (
    AlchemyDeadlineError,
    AlchemyError,
    AlchemyExecutionDeadlineError,
    ErrorKind,
)


def airflow_exception(error: AlchemyError, task: Any, context: Any) -> BaseException:
    """
    Give the exception to raise in a task.

    An error that is the user's to mend must not use up retries (``AirflowFailException``), and a wait whose time
    is over ends with ``AirflowSensorTimeout``. Each stays an error of its own type too, for callbacks. Airflow
    asks no retry policy about these two; a policy of the task that wants a retry all the same gets it.

    :param error: What went wrong.
    :param task: The task.
    :param context: The task's context.
    :return: The exception.
    """
    if isinstance(error, AlchemyExecutionDeadlineError):
        return AirflowTaskTimeout(str(error))
    if error.kind is not ErrorKind.PERMANENT and not isinstance(error, AlchemyDeadlineError):
        return error
    if _policy_retries(error, task, context):
        return error
    return final(error)


def final(error: AlchemyError) -> AlchemyError:
    """
    Make an error one that Airflow does not retry.

    :param error: What went wrong.
    :return: The same error, of a type that is ``AirflowSensorTimeout`` or ``AirflowFailException`` as well.
    """
    base = AirflowSensorTimeout if isinstance(error, AlchemyDeadlineError) else AirflowFailException
    twin_type = _final_type(type(error), base)
    twin = twin_type.__new__(twin_type, *error.args)
    twin.__dict__.update(error.__dict__)
    return twin


def _final_type(error_type: type[AlchemyError], base: type[Exception]) -> type[AlchemyError]:
    if issubclass(error_type, base):
        return error_type
    return type(error_type.__name__, (error_type, base), {"__module__": error_type.__module__})


def _policy_retries(error: AlchemyError, task: Any, context: Any) -> bool:
    policy = getattr(task, "retry_policy", None)
    if policy is None:
        return False
    ti = context["ti"]
    decision = policy.evaluate(exception=error, try_number=ti.try_number, max_tries=ti.max_tries, context=context)
    return bool(decision.action.value == "retry")


@contextmanager
def skipping(task: Any) -> Iterator[None]:
    """
    Apply ``soft_fail`` and ``never_fail`` alike in every mode of a sensor.

    ``soft_fail`` skips on time-outs and on failures that Airflow does not retry, which is what a poking sensor
    does and where Airflow moves to for deferred ones; ``never_fail`` skips on any failure.

    :param task: The sensor.
    """
    try:
        yield
    except (AirflowSkipException, AirflowRescheduleException):
        raise
    except (AirflowSensorTimeout, AirflowFailException, AirflowTaskTimeout) as failure:
        if task.soft_fail or task.never_fail:
            raise _skip(task, failure) from failure
        raise
    except Exception as failure:
        if task.never_fail:
            raise _skip(task, failure) from failure
        raise


def _skip(task: Any, failure: BaseException) -> AirflowSkipException:
    rule = "soft_fail" if task.soft_fail else "never_fail"
    return AirflowSkipException(f"Skipped instead of failed ({rule}=True): {failure}")
