# SPDX-License-Identifier: Apache-2.0
"""Airflow's masking of the API key in the forms that Airflow does not mask by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import mask_secret

_amask_secret: Callable[[Any], Awaitable[None]] | None
try:
    from airflow.sdk.log import amask_secret as _amask_secret
except ImportError:
    _amask_secret = None

_TELLS_THE_SUPERVISOR = mask_secret.__module__ == "airflow.sdk.log"


def mask_key(key: str) -> None:
    """
    Mask a key in what this process logs from now on, and in what Airflow logs of it. Not for event loops.

    :param key: The key as it is sent.
    """
    for form in _forms_of(key):
        mask_secret(form)


async def amask_key(key: str) -> None:
    """
    Mask a key in an event loop.

    Airflow 3.1 to 3.3.1 asks its supervisor for each mask and waits for the answer with the loop held up, which can
    block a triggerer for ever: there the key is masked as it was typed, by Airflow itself, and in no other form.

    :param key: The key as it is sent.
    """
    for form in _forms_of(key):
        if _amask_secret is not None:
            await _amask_secret(form)
        elif not _TELLS_THE_SUPERVISOR:
            mask_secret(form)


def _forms_of(key: str) -> Iterator[str]:
    # Airflow masks the password as it was typed: without blanks round it, and quoted in a URL, it is another.
    yield key
    yield quote(key, safe="")
