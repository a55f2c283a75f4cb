# SPDX-License-Identifier: Apache-2.0
"""
The reason of each failure as one word, by which a batch's failures are counted and kept.

The words are part of what a task returns: DAGs compare them, and a later version of this package must read them.
"""

from __future__ import annotations

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.errors import AlchemyError, ErrorKind

TIMEOUT = errors.DeadlineKind.TIMEOUT.value
EXECUTION_TIMEOUT = errors.DeadlineKind.EXECUTION_TIMEOUT.value
QUEUE_FAILED = "queue_failed"

_REASONS: dict[type[AlchemyError], str] = {
    AlchemyError: "error",
    errors.AlchemyTransientError: "service_trouble",
    errors.AlchemyRateLimitError: "rate_limit",
    errors.AlchemyServerError: "server_error",
    errors.AlchemyConnectionError: "connection",
    errors.AlchemyTimeoutError: "no_answer",
    errors.AlchemyBadAnswerError: "bad_answer",
    errors.AlchemyPermanentError: "refused",
    errors.AlchemyArgumentError: "argument",
    errors.AlchemyAddressError: "address",
    errors.AlchemyTokenIdError: "token_id",
    errors.AlchemyConfigurationError: "configuration",
    errors.AlchemyRequestError: "request",
    errors.AlchemyAuthenticationError: "authentication",
    errors.AlchemyNetworkError: "network",
    errors.AlchemyHostNotFoundError: "host_not_found",
    errors.AlchemyQuotaError: "quota",
    errors.AlchemyEndpointGoneError: "endpoint_gone",
    errors.AlchemyUnexpectedAnswerError: "unexpected_answer",
    errors.AlchemySpendingLimitError: "spending_limit",
    errors.AlchemyRefreshFailedError: "refresh_failed",
    errors.AlchemyQueueFailedError: QUEUE_FAILED,
    errors.AlchemyNoSuchCollectionError: "does_not_exist",
    errors.AlchemyContractsFailedError: "contracts_failed",
    errors.AlchemyContractsFailedForGoodError: "contracts_failed_for_good",
    errors.AlchemyTokensFailedError: "tokens_failed",
    errors.AlchemyTokensFailedForGoodError: "tokens_failed_for_good",
    errors.AlchemyDeadlineError: TIMEOUT,
    errors.AlchemyExecutionDeadlineError: EXECUTION_TIMEOUT,
}
_FINAL = frozenset(reason for error_type, reason in _REASONS.items() if error_type.kind is ErrorKind.PERMANENT)


def reason_of(error: AlchemyError) -> str:
    """
    Give the reason of a failure.

    :param error: What went wrong.
    :return: For example ``does_not_exist``; the word of the nearest type that has one.
    """
    return next(_REASONS[kind] for kind in type(error).__mro__ if kind in _REASONS)


def is_final(reason: str) -> bool:
    """
    Tell whether no retry can mend a failure.

    :param reason: Its reason, perhaps of another version of this package.
    :return: Whether it is the user's to mend; False for a reason that this version does not know.
    """
    return reason in _FINAL
