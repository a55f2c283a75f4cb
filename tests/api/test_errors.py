# SPDX-License-Identifier: Apache-2.0
"""The error tree: kinds, reasons, advice, and the way through processes."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.errors import PERMANENT_REASONS, AlchemyError, ErrorKind, error_from_dict


def family(parent: type[AlchemyError]) -> list[type[AlchemyError]]:
    children = [child for child in parent.__subclasses__() if child.__module__ == errors.__name__]
    return [parent, *(member for child in children for member in family(child))]


EVERY_CLASS = sorted(set(family(AlchemyError)), key=lambda member: member.__name__)

KINDS = {
    "AlchemyError": ErrorKind.UNEXPECTED,
    "AlchemyUnexpectedAnswerError": ErrorKind.UNEXPECTED,
    "AlchemyListingError": ErrorKind.UNEXPECTED,
    "AlchemyTransientError": ErrorKind.TRANSIENT,
    "AlchemyRateLimitError": ErrorKind.TRANSIENT,
    "AlchemyServerError": ErrorKind.TRANSIENT,
    "AlchemyConnectionError": ErrorKind.TRANSIENT,
    "AlchemyTimeoutError": ErrorKind.TRANSIENT,
    "AlchemyBadAnswerError": ErrorKind.TRANSIENT,
    "AlchemyRefreshFailedError": ErrorKind.TRANSIENT,
    "AlchemyQueueFailedError": ErrorKind.TRANSIENT,
    "AlchemyDeadlineError": ErrorKind.TRANSIENT,
    "AlchemyExecutionDeadlineError": ErrorKind.TRANSIENT,
    "AlchemyPermanentError": ErrorKind.PERMANENT,
    "AlchemyArgumentError": ErrorKind.PERMANENT,
    "AlchemyAddressError": ErrorKind.PERMANENT,
    "AlchemyTokenIdError": ErrorKind.PERMANENT,
    "AlchemyTokensFailedError": ErrorKind.TRANSIENT,
    "AlchemyConfigurationError": ErrorKind.PERMANENT,
    "AlchemyRequestError": ErrorKind.PERMANENT,
    "AlchemyAuthenticationError": ErrorKind.PERMANENT,
    "AlchemyNetworkError": ErrorKind.PERMANENT,
    "AlchemyHostNotFoundError": ErrorKind.PERMANENT,
    "AlchemyQuotaError": ErrorKind.PERMANENT,
    "AlchemySpendingLimitError": ErrorKind.PERMANENT,
    "AlchemyContractsFailedError": ErrorKind.TRANSIENT,
    "AlchemyEndpointGoneError": ErrorKind.PERMANENT,
    "AlchemyNoSuchCollectionError": ErrorKind.PERMANENT,
}

REASONS = {
    "AlchemyError": "error",
    "AlchemyUnexpectedAnswerError": "unexpected_answer",
    "AlchemyTransientError": "service_trouble",
    "AlchemyRateLimitError": "rate_limit",
    "AlchemyServerError": "server_error",
    "AlchemyConnectionError": "connection",
    "AlchemyTimeoutError": "no_answer",
    "AlchemyBadAnswerError": "bad_answer",
    "AlchemyRefreshFailedError": "refresh_failed",
    "AlchemyQueueFailedError": "queue_failed",
    "AlchemyDeadlineError": "timeout",
    "AlchemyExecutionDeadlineError": "execution_timeout",
    "AlchemyPermanentError": "refused",
    "AlchemyArgumentError": "argument",
    "AlchemyAddressError": "address",
    "AlchemyTokenIdError": "token_id",
    "AlchemyTokensFailedError": "tokens_failed",
    "AlchemyListingError": "listing_too_short",
    "AlchemyConfigurationError": "configuration",
    "AlchemyRequestError": "request",
    "AlchemyAuthenticationError": "authentication",
    "AlchemyNetworkError": "network",
    "AlchemyHostNotFoundError": "host_not_found",
    "AlchemyQuotaError": "quota",
    "AlchemySpendingLimitError": "spending_limit",
    "AlchemyContractsFailedError": "contracts_failed",
    "AlchemyEndpointGoneError": "endpoint_gone",
    "AlchemyNoSuchCollectionError": "does_not_exist",
}

SAYS_ITS_ADVICE_WHERE_IT_IS_RAISED = {
    "AlchemyAddressError",
    "AlchemyTokenIdError",
    "AlchemyArgumentError",
    "AlchemyConfigurationError",
    "AlchemyHostNotFoundError",
    "AlchemyNetworkError",
    "AlchemyPermanentError",
    "AlchemyRefreshFailedError",
}

FULL = {
    "subject": "collection 0x on eth-mainnet (connection 'mine')",
    "advice": "Ask somebody",
    "http_status": 418,
    "retry_after_seconds": 2.5,
}


every_class = pytest.mark.parametrize("error_type", EVERY_CLASS, ids=lambda member: member.__name__)


def test_each_class_has_a_row_in_the_table_of_kinds() -> None:
    assert {member.__name__ for member in EVERY_CLASS} == set(KINDS)


@every_class
def test_the_kind_of_each_class_is_as_designed(error_type: type[AlchemyError]) -> None:
    assert error_type.kind is KINDS[error_type.__name__]


@every_class
def test_each_class_survives_json(error_type: type[AlchemyError]) -> None:
    error = error_type("it broke", **FULL)  # type: ignore[arg-type]
    rebuilt = error_from_dict(json.loads(json.dumps(error.to_dict())))
    assert type(rebuilt) is error_type
    assert (str(rebuilt), rebuilt.to_dict()) == (str(error), error.to_dict())


@every_class
def test_each_class_survives_json_with_its_defaults(error_type: type[AlchemyError]) -> None:
    error = error_type("it broke")
    rebuilt = error_from_dict(json.loads(json.dumps(error.to_dict())))
    assert (type(rebuilt), str(rebuilt)) == (error_type, str(error))


@every_class
def test_each_class_survives_pickle(error_type: type[AlchemyError]) -> None:
    error = error_type("it broke", **FULL)  # type: ignore[arg-type]
    rebuilt = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(rebuilt) is error_type
    assert (str(rebuilt), rebuilt.to_dict(), rebuilt.args) == (str(error), error.to_dict(), error.args)


@every_class
def test_each_class_survives_a_copy(error_type: type[AlchemyError]) -> None:
    error = error_type("it broke", **FULL)  # type: ignore[arg-type]
    assert copy.copy(error).to_dict() == error.to_dict()


@every_class
def test_the_text_of_each_class_names_what_happened_and_the_advice(error_type: type[AlchemyError]) -> None:
    assert str(error_type("it broke", advice="Ask somebody")) == "it broke. Ask somebody."


@pytest.mark.parametrize(
    "error_type",
    [member for member in EVERY_CLASS if member.__name__ not in SAYS_ITS_ADVICE_WHERE_IT_IS_RAISED],
    ids=lambda member: member.__name__,
)
def test_each_class_that_is_raised_without_advice_has_its_own(error_type: type[AlchemyError]) -> None:
    assert len(error_type.default_advice) > 20
    assert str(error_type("it broke")) == f"it broke. {error_type.default_advice}."


def test_the_text_begins_with_what_it_is_about() -> None:
    assert str(AlchemyError("it broke", subject="collection 0x", advice="")) == "collection 0x: it broke."


@pytest.mark.parametrize(
    "what", ["Alchemy answered HTTP 403: App is inactive.", "Unable to complete request at this time."]
)
def test_a_sentence_of_the_service_that_ends_with_a_full_stop_gets_no_second_one(what: str) -> None:
    assert ".." not in str(AlchemyError(what, advice="Ask somebody"))


def test_about_names_the_subject_once() -> None:
    error = AlchemyError("it broke", advice="").about("the first").about("the second")
    assert str(error) == "the first: it broke."


def test_an_error_of_a_newer_version_is_an_alchemy_error_with_its_text() -> None:
    rebuilt = error_from_dict({"type": "AlchemyNewError", "what": "it broke", "advice": "Do that"})
    assert type(rebuilt) is AlchemyError
    assert str(rebuilt) == "it broke. Do that."


@pytest.mark.parametrize("name", ["Exception", "SystemExit", "redact", "", None, 5])
def test_no_other_type_can_be_rebuilt_from_a_dict(name: object) -> None:
    assert type(error_from_dict({"type": name, "what": "x"})) is AlchemyError


@pytest.mark.parametrize(
    ("error_type", "limit"),
    [(errors.AlchemyDeadlineError, "timeout"), (errors.AlchemyExecutionDeadlineError, "execution_timeout")],
)
def test_a_deadline_error_knows_which_limit_it_was(error_type: type[errors.AlchemyDeadlineError], limit: str) -> None:
    assert error_type.limit == limit


@pytest.mark.parametrize(
    ("error_type", "words"),
    [
        (errors.AlchemyRateLimitError, "compute_units_per_second"),
        (errors.AlchemyAuthenticationError, "API key"),
        (errors.AlchemyQuotaError, "next month"),
        (errors.AlchemyEndpointGoneError, "host empty"),
        (errors.AlchemyTimeoutError, "timeout"),
        (errors.AlchemyQueueFailedError, "retry the task"),
        (errors.AlchemyNoSuchCollectionError, "contract address"),
        (errors.AlchemyDeadlineError, "goes on at Alchemy"),
        (errors.AlchemyUnexpectedAnswerError, "newer airflow-provider-alchemy"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_the_advice_says_what_to_do(error_type: type[AlchemyError], words: str) -> None:
    assert words in str(error_type("it broke"))


class TestAPermanentError:
    @pytest.mark.parametrize(
        "error_type",
        [errors.AlchemyContractsFailedError, errors.AlchemyTokensFailedError],
        ids=lambda one: one.__name__,
    )
    def test_it_is_one_where_its_class_is_not_and_has_advice_of_its_own(self, error_type: type[AlchemyError]) -> None:
        usual, permanent = error_type("it broke"), error_type("it broke", is_permanent=True)
        assert (usual.is_permanent, permanent.is_permanent) == (False, True)
        assert (usual.kind, permanent.kind) == (ErrorKind.TRANSIENT, ErrorKind.PERMANENT)
        assert "raise max_failed" in permanent.advice
        assert "raise max_failed" not in usual.advice

    def test_it_stays_one_through_a_process(self) -> None:
        error = errors.AlchemyTokensFailedError("it broke", is_permanent=True)
        assert error_from_dict(json.loads(json.dumps(error.to_dict()))).is_permanent

    def test_one_of_a_newer_version_stays_one(self) -> None:
        assert error_from_dict({"type": "AlchemyNewError", "what": "it broke", "is_permanent": True}).is_permanent

    @every_class
    def test_each_class_says_by_its_kind_whether_its_errors_are(self, error_type: type[AlchemyError]) -> None:
        assert error_type("it broke").is_permanent == (error_type.kind is ErrorKind.PERMANENT)


class TestAReason:
    def test_the_words_are_part_of_results_and_do_not_change(self) -> None:
        assert {member.__name__: member.reason for member in EVERY_CLASS} == REASONS

    @every_class
    def test_it_is_permanent_where_its_errors_are(self, error_type: type[AlchemyError]) -> None:
        assert (error_type.reason in PERMANENT_REASONS) == (error_type.kind is ErrorKind.PERMANENT)

    def test_a_word_of_a_newer_version_is_not_permanent(self) -> None:
        assert "a_reason_of_tomorrow" not in PERMANENT_REASONS
