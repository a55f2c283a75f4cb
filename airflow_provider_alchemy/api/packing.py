# SPDX-License-Identifier: Apache-2.0
"""The short texts in which long lists of contracts and tokens go through Airflow's database. No I/O."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from airflow_provider_alchemy.api.errors import AlchemyArgumentError

_ADDRESS_BYTES = 20


def pack_addresses(addresses: Iterable[str]) -> str:
    """Write addresses in 27 characters each: Airflow keeps them several times while a task is deferred."""
    return base64.b64encode(b"".join(bytes.fromhex(address[2:]) for address in addresses)).decode()


def unpack_addresses(text: str) -> tuple[str, ...]:
    """Read what ``pack_addresses`` wrote."""
    try:
        packed = base64.b64decode(text, validate=True)
    except ValueError:
        packed = None
    if packed is None or len(packed) % _ADDRESS_BYTES:
        msg = f"argument 'contract_addresses' is {text[:50]!r} and no packed list of addresses"
        advice = "Run one version of airflow-provider-alchemy everywhere, and clear the task"
        raise AlchemyArgumentError(msg, advice=advice)
    starts = range(0, len(packed), _ADDRESS_BYTES)
    return tuple(f"0x{packed[start : start + _ADDRESS_BYTES].hex()}" for start in starts)


def pack_ids(ids: Iterable[int]) -> str:
    """Write token ids as runs of ids that follow each other, such as ``0-99,250``, in hexadecimal digits."""
    runs: list[tuple[int, int]] = []
    for token_id in ids:
        if runs and token_id == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], token_id)
        else:
            runs.append((token_id, token_id))
    return pack_ranges(runs)


def pack_ranges(ranges: Iterable[tuple[int, int]]) -> str:
    """Write ranges of token ids, each as its first and last one, as ``pack_ids`` does."""
    return ",".join(f"{first:x}" if first == last else f"{first:x}-{last:x}" for first, last in ranges)


def unpack_ids(text: str) -> tuple[int, ...]:
    """Read what ``pack_ids`` wrote, in the same order."""
    return tuple(token_id for first, last in unpack_ranges(text) for token_id in range(first, last + 1))


def unpack_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Read what ``pack_ranges`` wrote; a range may have more ids than memory holds."""
    return tuple(_read_run(run) for run in text.split(",") if run)


def _read_run(run: str) -> tuple[int, int]:
    start, _, end = run.partition("-")
    first, last = int(start, 16), int(end or start, 16)
    if not 0 <= first <= last:
        msg = f"{run[:100]!r} is no run of token ids"
        raise ValueError(msg)
    return first, last


def digest_of(ids: Iterable[int]) -> str:
    """Identify a list of tokens, also in another process."""
    return hashlib.sha256(pack_ids(ids).encode()).hexdigest()[:32]
