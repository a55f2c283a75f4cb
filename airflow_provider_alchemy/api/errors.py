# SPDX-License-Identifier: Apache-2.0
"""What every error of this package is: a sentence, what it is about, advice, and a way through Airflow's database."""

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
    """

    kind: ClassVar[ErrorKind] = ErrorKind.UNEXPECTED
    default_advice: ClassVar[str] = "If it stays, report it to the authors of airflow-provider-alchemy"

    def __init__(
        self,
        what: str,
        *,
        subject: str | None = None,
        advice: str | None = None,
        http_status: int | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.subject = subject
        self.advice = self.default_advice if advice is None else advice
        self.http_status = http_status
        self.retry_after_seconds = retry_after_seconds
        self.message = what
        """What the service said, in whole: for rules, never shown. Lost between processes."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # The first of a name: tasks make twins that are an exception of Airflow as well, and carry the same name.
        if cls.__module__.startswith(__name__.rpartition(".")[0]):
            _TYPES.setdefault(cls.__name__, cls)

    def __str__(self) -> str:
        about = f"{self.subject}: " if self.subject else ""
        return ". ".join(part.rstrip(".") for part in (f"{about}{self.what}", self.advice) if part) + "."

    def __reduce__(self) -> tuple[Any, ...]:
        return error_from_dict, (self.to_dict(),)

    def about(self, subject: str) -> Self:
        """
        Name what the error is about, unless it already does.

        :param subject: The collection, the network and the connection, for a person.
        :return: This error.
        """
        self.subject = self.subject or subject
        return self

    def without(self, key: str) -> Self:
        """
        Take a key out of the error's texts: people paste it into other fields, and servers send it back.

        :param key: The API key.
        :return: This error.
        """
        self.what, self.advice = redact(self.what, key), redact(self.advice, key)
        self.args = (self.what,)
        return self

    def to_dict(self) -> dict[str, Any]:
        """
        Give the error as JSON values, for the way through Airflow's database.

        :return: ``type, what, subject, advice, http_status, retry_after_seconds``.
        """
        return {
            "type": type(self).__name__,
            "what": self.what,
            "subject": self.subject,
            "advice": self.advice,
            "http_status": self.http_status,
            "retry_after_seconds": self.retry_after_seconds,
        }


_TYPES: dict[str, type[AlchemyError]] = {AlchemyError.__name__: AlchemyError}
"""Each type by its name, for errors that crossed a process."""


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
    )


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


TIMEOUT = DeadlineKind.TIMEOUT.value
EXECUTION_TIMEOUT = DeadlineKind.EXECUTION_TIMEOUT.value
QUEUE_FAILED = "queue_failed"

_REASONS: dict[type[AlchemyError], str] = {
    AlchemyError: "error",
    AlchemyTransientError: "service_trouble",
    AlchemyRateLimitError: "rate_limit",
    AlchemyServerError: "server_error",
    AlchemyConnectionError: "connection",
    AlchemyTimeoutError: "no_answer",
    AlchemyBadAnswerError: "bad_answer",
    AlchemyPermanentError: "refused",
    AlchemyArgumentError: "argument",
    AlchemyAddressError: "address",
    AlchemyTokenIdError: "token_id",
    AlchemyConfigurationError: "configuration",
    AlchemyRequestError: "request",
    AlchemyAuthenticationError: "authentication",
    AlchemyNetworkError: "network",
    AlchemyHostNotFoundError: "host_not_found",
    AlchemyQuotaError: "quota",
    AlchemyEndpointGoneError: "endpoint_gone",
    AlchemyUnexpectedAnswerError: "unexpected_answer",
    AlchemySpendingLimitError: "spending_limit",
    AlchemyRefreshFailedError: "refresh_failed",
    AlchemyQueueFailedError: QUEUE_FAILED,
    AlchemyNoSuchCollectionError: "does_not_exist",
    AlchemyContractsFailedError: "contracts_failed",
    AlchemyContractsFailedForGoodError: "contracts_failed_for_good",
    AlchemyTokensFailedError: "tokens_failed",
    AlchemyTokensFailedForGoodError: "tokens_failed_for_good",
    AlchemyDeadlineError: TIMEOUT,
    AlchemyExecutionDeadlineError: EXECUTION_TIMEOUT,
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
