# SPDX-License-Identifier: Apache-2.0
"""The error tree: kinds, advice, the way through processes, and keys that are taken out of texts."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.errors import AlchemyError, ErrorKind, error_from_dict
from airflow_provider_alchemy.api.redaction import redact

from .shells import KEY


def family(parent: type[AlchemyError]) -> list[type[AlchemyError]]:
    children = [child for child in parent.__subclasses__() if child.__module__ == errors.__name__]
    return [parent, *(member for child in children for member in family(child))]


EVERY_CLASS = sorted(set(family(AlchemyError)), key=lambda member: member.__name__)

KINDS = {
    "AlchemyError": ErrorKind.UNEXPECTED,
    "AlchemyUnexpectedAnswerError": ErrorKind.UNEXPECTED,
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
    "AlchemyTokensFailedForGoodError": ErrorKind.PERMANENT,
    "AlchemyConfigurationError": ErrorKind.PERMANENT,
    "AlchemyRequestError": ErrorKind.PERMANENT,
    "AlchemyAuthenticationError": ErrorKind.PERMANENT,
    "AlchemyNetworkError": ErrorKind.PERMANENT,
    "AlchemyHostNotFoundError": ErrorKind.PERMANENT,
    "AlchemyQuotaError": ErrorKind.PERMANENT,
    "AlchemySpendingLimitError": ErrorKind.PERMANENT,
    "AlchemyContractsFailedError": ErrorKind.TRANSIENT,
    "AlchemyContractsFailedForGoodError": ErrorKind.PERMANENT,
    "AlchemyEndpointGoneError": ErrorKind.PERMANENT,
    "AlchemyNoSuchCollectionError": ErrorKind.PERMANENT,
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


# Visible ASCII, as the settings accept it; a star is left out because it is what a key becomes.
KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="*"), min_size=4)


def forms(key: str) -> list[str]:
    in_json = json.dumps(key)[1:-1]
    # Some libraries escape in JSON what HTML or a script would read as its own.
    careful = "".join(one if one.isalnum() else f"\\u{ord(one):04x}" for one in key)
    encoded = base64.b64encode(key.encode()).decode()
    return [key, quote(key, safe=""), quote_plus(key), in_json.replace("/", "\\/"), careful, encoded]


@given(key=KEYS, before=st.text(), after=st.text(), data=st.data())
def test_a_key_is_never_left_in_a_text_in_any_of_its_forms(
    key: str, before: str, after: str, data: st.DataObject
) -> None:
    text = before + data.draw(st.sampled_from(forms(key))) + after
    redacted = redact(text, key)
    assert [form for form in forms(key) if form in redacted] == []


def test_a_backslash_of_a_key_may_be_written_twice_and_four_times() -> None:
    once = json.dumps("00\\0")[1:-1]
    assert redact(f"{once} {json.dumps(once)[1:-1]}", "00\\0") == "*** ***"


@given(key=KEYS, text=st.text())
def test_a_text_without_the_key_is_left_as_it_is(key: str, text: str) -> None:
    assume(not any(form in text for form in forms(key)))
    assert redact(text, key) == text


def test_each_occurrence_of_a_key_is_taken_out() -> None:
    assert redact(f"{KEY} and {KEY}", KEY) == "*** and ***"


def test_without_a_key_nothing_is_taken_out() -> None:
    assert redact("some text", "") == "some text"
