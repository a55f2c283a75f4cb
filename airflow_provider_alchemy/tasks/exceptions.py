# SPDX-License-Identifier: Apache-2.0
"""Which exception of Airflow an error becomes, and when a sensor is skipped instead of failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
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
from airflow_provider_alchemy.tasks.store import number_of


def airflow_exception(error: AlchemyError, task: Any, context: Any) -> BaseException:
    """
    Give the exception that a task raises for an error.

    A permanent error must not use up retries (``AirflowFailException``), and a wait whose time is over ends with
    ``AirflowSensorTimeout``. Airflow asks no retry policy about these two, so a policy of the task is asked here.
    """
    if isinstance(error, AlchemyExecutionDeadlineError):
        return AirflowTaskTimeout(str(error))
    is_final = error.kind is ErrorKind.PERMANENT or isinstance(error, AlchemyDeadlineError)
    return final(error) if is_final and not _policy_retries(error, task, context) else error


def final(error: AlchemyError) -> AlchemyError:
    """Give the error as one that Airflow does not retry; it stays an error of its own type, for callbacks."""
    base = AirflowSensorTimeout if isinstance(error, AlchemyDeadlineError) else AirflowFailException
    final_type: Any = _final_type(type(error), base)  # type: ignore[arg-type]  # classes are hashable
    copy: AlchemyError = final_type.__new__(final_type, *error.args)
    copy.__dict__.update(error.__dict__)
    return copy


@cache
def _final_type(error_type: Any, base: Any) -> type[AlchemyError]:
    if issubclass(error_type, base):
        return error_type  # type: ignore[no-any-return]
    return type(error_type.__name__, (error_type, base), {"__module__": error_type.__module__})


def _policy_retries(error: AlchemyError, task: Any, context: Any) -> bool:
    policy = getattr(task, "retry_policy", None)
    if policy is None:
        return False
    ti = context.get("ti")
    tries = {"try_number": number_of(ti, "try_number", 1), "max_tries": number_of(ti, "max_tries", 0)}
    action = policy.evaluate(exception=error, **tries, context=context).action.value
    if action == "reschedule":
        task.end_try(context)
    return action in {"retry", "reschedule"}


@contextmanager
def skipping(task: Any) -> Iterator[None]:
    """
    Apply a sensor's ``soft_fail`` and ``never_fail`` alike in every mode; for other tasks do nothing.

    ``soft_fail`` skips on time-outs and on failures that Airflow does not retry, which is what a poking sensor
    does and where Airflow moves to for deferred ones; ``never_fail`` skips on any failure.
    """
    soft_fail, never_fail = getattr(task, "soft_fail", False), getattr(task, "never_fail", False)
    try:
        yield
    except (AirflowSkipException, AirflowRescheduleException):
        raise
    except (AirflowSensorTimeout, AirflowFailException, AirflowTaskTimeout) as failure:
        if not (soft_fail or never_fail):
            raise
        raise _skip(failure, "soft_fail" if soft_fail else "never_fail") from failure
    except Exception as failure:
        if not never_fail:
            raise
        raise _skip(failure, "soft_fail" if soft_fail else "never_fail") from failure


def _skip(failure: BaseException, argument: str) -> AirflowSkipException:
    return AirflowSkipException(f"Skipped instead of failed ({argument}=True): {failure}")
