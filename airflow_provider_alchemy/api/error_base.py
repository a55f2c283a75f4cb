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
