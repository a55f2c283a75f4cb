# SPDX-License-Identifier: Apache-2.0
"""
What can go wrong, as types.

Each error says what happened, about what, and what to do now. Its kind decides what a caller does with it:
wait it out, give up at once, or fail loudly because the API is not what it was.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from airflow_provider_alchemy.api.error_base import AlchemyError, ErrorKind, error_from_dict

__all__ = [
    "AlchemyAddressError",
    "AlchemyArgumentError",
    "AlchemyAuthenticationError",
    "AlchemyBadAnswerError",
    "AlchemyConfigurationError",
    "AlchemyConnectionError",
    "AlchemyContractsFailedError",
    "AlchemyContractsFailedForGoodError",
    "AlchemyDeadlineError",
    "AlchemyEndpointGoneError",
    "AlchemyError",
    "AlchemyExecutionDeadlineError",
    "AlchemyHostNotFoundError",
    "AlchemyNetworkError",
    "AlchemyNoSuchCollectionError",
    "AlchemyPermanentError",
    "AlchemyQueueFailedError",
    "AlchemyQuotaError",
    "AlchemyRateLimitError",
    "AlchemyRefreshFailedError",
    "AlchemyRequestError",
    "AlchemyServerError",
    "AlchemySpendingLimitError",
    "AlchemyTimeoutError",
    "AlchemyTokenIdError",
    "AlchemyTokensFailedError",
    "AlchemyTokensFailedForGoodError",
    "AlchemyTransientError",
    "AlchemyUnexpectedAnswerError",
    "DeadlineKind",
    "ErrorKind",
    "error_from_dict",
]


class AlchemyTransientError(AlchemyError):
    """Ours to wait out: the service was busy, broken or out of reach."""

    kind = ErrorKind.TRANSIENT
    default_advice = "Nothing to mend on your side: try again later, and see Alchemy's status page if it stays"


class AlchemyRateLimitError(AlchemyTransientError):
    """The account's throughput was used up (HTTP 429)."""

    default_advice = (
        "The account's throughput is shared by everything that uses it: raise poll_interval, lower the number "
        "of tasks that run at once (a pool), or set compute_units_per_second of the connection to your plan's"
    )


class AlchemyServerError(AlchemyTransientError):
    """The service failed (HTTP 5xx)."""


class AlchemyConnectionError(AlchemyTransientError):
    """No connection to the service, or it broke."""

    default_advice = "Check that the host is up and reachable from the machine that runs the task"


class AlchemyTimeoutError(AlchemyTransientError):
    """The service did not answer in time."""

    default_advice = "If it stays, raise the connection's timeout"


class AlchemyBadAnswerError(AlchemyTransientError):
    """An answer that was cut, empty, HTML or no JSON."""

    default_advice = "If it stays, check that the connection's host is an Alchemy API and not a web page or a proxy"


class AlchemyPermanentError(AlchemyError):
    """The user's to mend: trying again cannot help."""

    kind = ErrorKind.PERMANENT
    default_advice = ""


class AlchemyArgumentError(AlchemyPermanentError, ValueError, TypeError):
    """An argument that cannot be right; nothing was sent."""

    # A triggerer that builds a trigger from the database fails it for a TypeError, and ends itself, with all its
    # triggers, for anything else: such an argument may be one of another version of this package.


class AlchemyAddressError(AlchemyArgumentError):
    """A contract address that cannot be right; nothing was sent."""


class AlchemyTokenIdError(AlchemyArgumentError):
    """A token id that cannot be right; nothing was sent."""


class AlchemyConfigurationError(AlchemyPermanentError):
    """A connection that cannot be right; nothing was sent."""


class AlchemyRequestError(AlchemyPermanentError):
    """The service refuses the request (HTTP 400, 403, 413)."""

    default_advice = "Check the arguments of the task against Alchemy's API reference"


class AlchemyAuthenticationError(AlchemyPermanentError):
    """The service refuses the key (HTTP 401, 403)."""

    default_advice = (
        "Check the API key (field password) of the connection against the Alchemy dashboard; a key that the "
        "header form refuses may work with auth=path, and the other way round"
    )


class AlchemyNetworkError(AlchemyPermanentError):
    """The network is unknown, or not enabled for the app or the endpoint."""


class AlchemyHostNotFoundError(AlchemyNetworkError):
    """The API's host name does not exist, which is how an unknown network shows."""


class AlchemyQuotaError(AlchemyPermanentError):
    """The account's monthly units are used up."""

    default_advice = (
        "Trying again is pointless until the next month begins: raise the limit or the plan in the dashboard"
    )


class AlchemyEndpointGoneError(AlchemyPermanentError):
    """The endpoint or the host does not exist any more (HTTP 404, 410, or "Unsupported method")."""

    default_advice = "Leave the connection's host empty, or check it, and look into Alchemy's API reference"


class AlchemyUnexpectedAnswerError(AlchemyError):
    """An answer that the API reference does not know."""

    default_advice = "The API may have changed: look for a newer airflow-provider-alchemy, or report what came"


class AlchemySpendingLimitError(AlchemyPermanentError):
    """The task may not spend more compute units, and the refresh has not ended."""

    default_advice = (
        "The refresh goes on at Alchemy: raise max_compute_units and clear the task to join it again, or raise "
        "poll_interval, so that the same units last longer"
    )


class AlchemyRefreshFailedError(AlchemyError):
    """Alchemy ended the refresh without success."""

    kind = ErrorKind.TRANSIENT
    default_advice = ""


class AlchemyQueueFailedError(AlchemyRefreshFailedError):
    """Alchemy could not queue the refresh (``queue_failed``): an internal error of the service."""

    default_advice = "It may be submitted again: retry the task"


class AlchemyNoSuchCollectionError(AlchemyRefreshFailedError):
    """The contract is no NFT contract, or has no proper metadata (``does_not_exist``)."""

    kind = ErrorKind.PERMANENT
    default_advice = "Check the contract address and the network: Alchemy knows no NFT collection there"


class AlchemyContractsFailedError(AlchemyRefreshFailedError):
    """More contracts of a batch failed than its task allows."""

    default_advice = "The XCom 'failed' names them all by reason: retry the task, which joins what goes on at Alchemy"


class AlchemyContractsFailedForGoodError(AlchemyContractsFailedError):
    """More contracts of a batch failed for reasons that no retry can mend than its task allows."""

    kind = ErrorKind.PERMANENT
    default_advice = (
        "The XCom 'failed' names them all by reason: take those that are no NFT collections out of the list, or raise "
        "max_failed"
    )


class AlchemyTokensFailedError(AlchemyRefreshFailedError):
    """More tokens of a collection are not proven fresh than the task allows."""

    default_advice = "The XCom 'failures' counts them by reason: retry the task, which asks only for these again"


class AlchemyTokensFailedForGoodError(AlchemyTokensFailedError):
    """More tokens of a collection failed for reasons that no retry can mend than the task allows."""

    kind = ErrorKind.PERMANENT
    default_advice = (
        "The XCom 'failures' counts them by reason: have their contract or their metadata mended, leave them out of "
        "token_ids, or raise max_failed"
    )


class DeadlineKind(StrEnum):
    """Which of a task's two limits ended a wait."""

    TIMEOUT = "timeout"
    EXECUTION_TIMEOUT = "execution_timeout"


class AlchemyDeadlineError(AlchemyError):
    """The wait's time is over and the refresh has not ended."""

    kind = ErrorKind.TRANSIENT
    default_advice = (
        "The refresh goes on at Alchemy: raise the limit, or clear the task to join the running refresh again"
    )
    limit: ClassVar[DeadlineKind] = DeadlineKind.TIMEOUT


class AlchemyExecutionDeadlineError(AlchemyDeadlineError):
    """The task's ``execution_timeout`` is over and the refresh has not ended."""

    limit = DeadlineKind.EXECUTION_TIMEOUT
