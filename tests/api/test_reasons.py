# SPDX-License-Identifier: Apache-2.0
"""The words for failures: part of what a task returns, so none may change by accident."""

from __future__ import annotations

import pytest

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api import errors as error_base
from airflow_provider_alchemy.api import errors as reasons
from airflow_provider_alchemy.api.errors import AlchemyError, ErrorKind, error_from_dict, is_final, reason_of


def every_error() -> list[AlchemyError]:
    return [error_from_dict({"type": name, "what": "it broke"}) for name in error_base._TYPES]


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (errors.AlchemyNoSuchCollectionError("x"), "does_not_exist"),
        (errors.AlchemyQueueFailedError("x"), "queue_failed"),
        (errors.AlchemyDeadlineError("x"), "timeout"),
        (errors.AlchemyExecutionDeadlineError("x"), "execution_timeout"),
        (errors.AlchemyServerError("x"), "server_error"),
        (errors.AlchemyConnectionError("x"), "connection"),
        (errors.AlchemySpendingLimitError("x"), "spending_limit"),
        (errors.AlchemyAuthenticationError("x"), "authentication"),
        (errors.AlchemyQuotaError("x"), "quota"),
    ],
)
def test_the_words_that_are_documented(error: AlchemyError, word: str) -> None:
    assert reason_of(error) == word


def test_each_type_of_error_has_a_word_of_its_own() -> None:
    words = [reason_of(error) for error in every_error()]

    assert len(words) == len(set(words)) == len(reasons._REASONS)


def test_a_type_without_a_word_has_that_of_its_parent() -> None:
    class OfTomorrowError(errors.AlchemyServerError):
        pass

    assert reason_of(OfTomorrowError("x")) == "server_error"


@pytest.mark.parametrize("error", every_error(), ids=lambda error: type(error).__name__)
def test_what_the_user_has_to_mend_is_final(error: AlchemyError) -> None:
    assert is_final(reason_of(error)) == (error.kind is ErrorKind.PERMANENT)


def test_a_word_of_a_newer_version_is_not_final() -> None:
    assert not is_final("a_reason_of_tomorrow")
