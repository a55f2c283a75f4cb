# SPDX-License-Identifier: Apache-2.0
"""
What can go wrong, as types.

Each error says what happened, to what, and what to do now. Its kind decides what a caller does with it: try again,
give up at once, or fail loudly because the API is not what it was.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar, Self

from airflow_provider_alchemy.api.redaction import redact


class ErrorKind(StrEnum):
    """What a caller may do after an error."""

    TRANSIENT = "transient"
    """The service is in trouble: another try later may succeed."""

    PERMANENT = "permanent"
    """The user has to change something: another try cannot succeed."""

    UNEXPECTED = "unexpected"
    """A bug, or an API that changed: fail and show the answer."""


class AlchemyError(Exception):
    """
    Base of everything that goes wrong with Alchemy's API.

    :param what: What happened, as a sentence without its full stop.
    :param subject: What it happened to: the collection, the network and the connection.
    :param advice: What to do now; default: the advice of the class.
    :param http_status: Status of the HTTP answer, None where there was none.
    :param retry_after_seconds: How long the service asked to wait, in seconds, None where it did not.
    :param is_permanent: True: no retry can succeed, although one can after other errors of this class.
    """

    kind: ErrorKind = ErrorKind.UNEXPECTED
    reason: ClassVar[str] = "error"
    """The error as one word, by which failures are counted in XComs: DAGs compare it, so it never changes."""
    default_advice: ClassVar[str] = "If it stays, report it to the authors of airflow-provider-alchemy"
    permanent_advice: ClassVar[str | None] = None

    def __init__(
        self,
        what: str,
        *,
        subject: str | None = None,
        advice: str | None = None,
        http_status: int | None = None,
        retry_after_seconds: float | None = None,
        is_permanent: bool = False,
    ) -> None:
        super().__init__(what)
        if is_permanent:
            self.kind = ErrorKind.PERMANENT
        self.what = what
        self.subject = subject
        default = (self.permanent_advice if is_permanent else None) or self.default_advice
        self.advice = default if advice is None else advice
        self.http_status = http_status
        self.retry_after_seconds = retry_after_seconds
        self.message = what
        """What the service said, in whole: for rules, never shown. Lost between processes."""

    @property
    def is_permanent(self) -> bool:
        """Whether no retry can succeed before the user has changed something."""
        return self.kind is ErrorKind.PERMANENT

    def __str__(self) -> str:
        about = f"{self.subject}: " if self.subject else ""
        return ". ".join(part.rstrip(".") for part in (f"{about}{self.what}", self.advice) if part) + "."

    def __reduce__(self) -> tuple[Any, ...]:
        return error_from_dict, (self.to_dict(),)

    def about(self, subject: str) -> Self:
        """Name what the error is about, unless it already does."""
        self.subject = self.subject or subject
        return self

    def without(self, key: str) -> Self:
        """Take a key out of the error's texts: people paste it into other fields, and servers send it back."""
        self.what, self.advice = redact(self.what, key), redact(self.advice, key)
        self.message = redact(self.message, key)
        self.args = (self.what,)
        return self

    def to_dict(self) -> dict[str, Any]:
        """
        Give the error as JSON values, for the way through Airflow's database.

        :return: ``type, what, subject, advice, http_status, retry_after_seconds, is_permanent``.
        """
        return {
            "type": type(self).__name__,
            "what": self.what,
            "subject": self.subject,
            "advice": self.advice,
            "http_status": self.http_status,
            "retry_after_seconds": self.retry_after_seconds,
            "is_permanent": self.is_permanent,
        }


class AlchemyTransientError(AlchemyError):
    """The service was busy, broken or out of reach: another try later may succeed."""

    reason = "service_trouble"
    kind = ErrorKind.TRANSIENT
    default_advice = "Nothing is wrong on your side: try again later, and see Alchemy's status page if it stays"


class AlchemyRateLimitError(AlchemyTransientError):
    """The account's throughput was used up (HTTP 429)."""

    reason = "rate_limit"
    default_advice = (
        "The account's throughput is shared by everything that uses it: raise poll_interval, lower the number "
        "of tasks that run at once (a pool), or set compute_units_per_second of the connection to your plan's"
    )


class AlchemyServerError(AlchemyTransientError):
    """The service failed (HTTP 5xx)."""

    reason = "server_error"


class AlchemyConnectionError(AlchemyTransientError):
    """No connection to the service, or it broke."""

    reason = "connection"
    default_advice = "Check that the host is up and reachable from the machine that runs the task"


class AlchemyTimeoutError(AlchemyTransientError):
    """The service did not answer in time."""

    reason = "no_answer"
    default_advice = "If it stays, raise the connection's timeout"


class AlchemyBadAnswerError(AlchemyTransientError):
    """An answer that was cut, empty, HTML or no JSON."""

    reason = "bad_answer"
    default_advice = "If it stays, check that the connection's host is an Alchemy API and not a web page or a proxy"


class AlchemyPermanentError(AlchemyError):
    """The user has to change something: trying again cannot help."""

    reason = "refused"
    kind = ErrorKind.PERMANENT
    default_advice = ""


class AlchemyArgumentError(AlchemyPermanentError, ValueError, TypeError):
    """An argument that cannot be right; nothing was sent."""

    reason = "argument"
    # A triggerer that builds a trigger from the database fails it for a TypeError, and ends itself, with all its
    # triggers, for anything else: such an argument may be one of another version of this package.


class AlchemyAddressError(AlchemyArgumentError):
    """A contract address that cannot be right; nothing was sent."""

    reason = "address"


class AlchemyTokenIdError(AlchemyArgumentError):
    """A token id that cannot be right; nothing was sent."""

    reason = "token_id"


class AlchemyConfigurationError(AlchemyPermanentError):
    """A connection that cannot be right; nothing was sent."""

    reason = "configuration"


class AlchemyRequestError(AlchemyPermanentError):
    """The service refuses the request (HTTP 400, 403, 413)."""

    reason = "request"
    default_advice = "Check the arguments of the task against Alchemy's API reference"


class AlchemyAuthenticationError(AlchemyPermanentError):
    """The service refuses the key (HTTP 401, 403)."""

    reason = "authentication"
    default_advice = (
        "Check the API key (field password) of the connection against the Alchemy dashboard; a key that the "
        "header form refuses may work with auth=path, and the other way round"
    )


class AlchemyNetworkError(AlchemyPermanentError):
    """The network is unknown, or not enabled for the app or the endpoint."""

    reason = "network"


class AlchemyHostNotFoundError(AlchemyNetworkError):
    """The API's host name does not exist, which is how an unknown network shows."""

    reason = "host_not_found"


class AlchemyQuotaError(AlchemyPermanentError):
    """The account's monthly units are used up."""

    reason = "quota"
    default_advice = (
        "Trying again is pointless until the next month begins: raise the limit or the plan in the dashboard"
    )


class AlchemyEndpointGoneError(AlchemyPermanentError):
    """The endpoint or the host does not exist any more (HTTP 404, 410, or "Unsupported method")."""

    reason = "endpoint_gone"
    default_advice = "Leave the connection's host empty, or check it, and look into Alchemy's API reference"


class AlchemyUnexpectedAnswerError(AlchemyError):
    """An answer that the API reference does not know."""

    reason = "unexpected_answer"
    default_advice = "The API may have changed: look for a newer airflow-provider-alchemy, or report what came"


class AlchemyListingError(AlchemyUnexpectedAnswerError):
    """A collection's list of tokens ended long before its contract's supply."""

    reason = "listing_too_short"
    default_advice = (
        "Alchemy may not have indexed all of them yet: retry later, or name the tokens with token_ids, which needs no "
        "list"
    )


class AlchemySpendingLimitError(AlchemyPermanentError):
    """The task may not spend more compute units, and the refresh has not ended."""

    reason = "spending_limit"
    default_advice = (
        "The refresh goes on at Alchemy: raise max_compute_units and clear the task to join it again, or raise "
        "poll_interval, so that the same units last longer"
    )


class AlchemyRefreshFailedError(AlchemyError):
    """Alchemy ended the refresh without success."""

    reason = "refresh_failed"
    kind = ErrorKind.TRANSIENT
    default_advice = ""


class AlchemyQueueFailedError(AlchemyRefreshFailedError):
    """Alchemy could not queue the refresh (``queue_failed``): an internal error of the service."""

    reason = "queue_failed"
    default_advice = "It may be submitted again: retry the task"


class AlchemyNoSuchCollectionError(AlchemyRefreshFailedError):
    """The contract is no NFT contract, or has no proper metadata (``does_not_exist``)."""

    reason = "does_not_exist"
    kind = ErrorKind.PERMANENT
    default_advice = "Check the contract address and the network: Alchemy knows no NFT collection there"


class AlchemyContractsFailedError(AlchemyRefreshFailedError):
    """More contracts of a batch failed than its task allows."""

    reason = "contracts_failed"
    default_advice = "The XCom 'failed' names them all by reason: retry the task, which joins what goes on at Alchemy"
    permanent_advice = (
        "The XCom 'failed' names them all by reason: take those that are no NFT collections out of the list, or raise "
        "max_failed"
    )


class AlchemyTokensFailedError(AlchemyRefreshFailedError):
    """More tokens of a collection are not proven fresh than the task allows."""

    reason = "tokens_failed"
    default_advice = "The XCom 'failures' counts them by reason: retry the task, which asks only for these again"
    permanent_advice = (
        "The XCom 'failures' counts them by reason: have their contract or their metadata corrected, leave them out of "
        "token_ids, or raise max_failed"
    )


class DeadlineKind(StrEnum):
    """Which of a task's two limits ended a wait."""

    TIMEOUT = "timeout"
    EXECUTION_TIMEOUT = "execution_timeout"


class AlchemyDeadlineError(AlchemyError):
    """The wait's time is over and the refresh has not ended."""

    reason = DeadlineKind.TIMEOUT.value
    kind = ErrorKind.TRANSIENT
    default_advice = (
        "The refresh goes on at Alchemy: raise the limit, or clear the task to join the running refresh again"
    )
    limit: ClassVar[DeadlineKind] = DeadlineKind.TIMEOUT


class AlchemyExecutionDeadlineError(AlchemyDeadlineError):
    """The task's ``execution_timeout`` is over and the refresh has not ended."""

    reason = DeadlineKind.EXECUTION_TIMEOUT.value
    limit = DeadlineKind.EXECUTION_TIMEOUT


_TYPES: dict[str, type[AlchemyError]] = {
    name: value for name, value in globals().items() if isinstance(value, type) and issubclass(value, AlchemyError)
}
"""Each type by its name, for errors that crossed a process."""

PERMANENT_REASONS = frozenset(cls.reason for cls in _TYPES.values() if cls.kind is ErrorKind.PERMANENT)
"""The reasons that no retry changes."""


def error_from_dict(data: dict[str, Any]) -> AlchemyError:
    """
    Rebuild an error that crossed a process as JSON values.

    :param data: What ``AlchemyError.to_dict`` gave.
    :return: An error of the same type and text; of a type that this version does not know: the base type.
    """
    error_type = _TYPES.get(str(data.get("type")), AlchemyError)
    return error_type(
        str(data.get("what")),
        subject=data.get("subject"),
        advice=data.get("advice"),
        http_status=data.get("http_status"),
        retry_after_seconds=data.get("retry_after_seconds"),
        is_permanent=bool(data.get("is_permanent")),
    )
