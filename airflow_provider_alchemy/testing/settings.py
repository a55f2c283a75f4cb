# SPDX-License-Identifier: Apache-2.0
"""The emulated service's switches: the limits of an account, and the behaviours that Alchemy leaves open.

What no document settles (does v2 take the key in a header? does a finished refresh start again?) is a
switch here, so that a client can be tested against either answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from airflow_provider_alchemy.testing import checks


class AfterFinished(StrEnum):
    """What a call does after ``finished`` was reported."""

    REPORT = "report"
    RESTART = "restart"


class RepeatedState(StrEnum):
    """The spelling of a repeated call's answer while the job is queued: the documented and the seen one."""

    ALREADY_QUEUED = "already_queued"
    ALREADY_QUERIED = "already_queried"


class ProgressForm(StrEnum):
    """The forms in which ``progress`` was seen: always null, ``5``, ``"5"``, ``"5%"``, always ``""``."""

    NULL = "null"
    INT = "int"
    TEXT = "text"
    PERCENT = "percent"
    EMPTY = "empty"


class RetryAfterForm(StrEnum):
    """The two forms of the ``Retry-After`` header (RFC 9110, section 10.2.3)."""

    SECONDS = "seconds"
    DATE = "date"


class RepeatedRefresh(StrEnum):
    """What ``refreshNftMetadata`` answers for a token that was queued a short time ago."""

    ACCEPTED = "accepted"
    REFUSED = "refused"


class EstimateForm(StrEnum):
    """The forms of ``estimatedMsToRefresh``: the one that is shown and the one that is documented."""

    INT = "int"
    TEXT = "text"


class BatchForm(StrEnum):
    """The forms of a batch's answer: in an object, which the SDKs read, or the documented bare array."""

    OBJECT = "object"
    ARRAY = "array"


class PageKeyForm(StrEnum):
    """The forms of a listing's ``pageKey``: ``0x`` and 64 digits, or decimal."""

    HEX = "hex"
    DECIMAL = "decimal"


class LastPageKey(StrEnum):
    """What the last page of a listing has for a ``pageKey``."""

    ABSENT = "absent"
    NULL = "null"


class RangeRefusal(StrEnum):
    """How ``eth_getLogs`` refuses too many blocks: with a range that works, without, or with status 200."""

    HINT = "hint"
    PLAIN = "plain"
    OK = "ok"


_CHECKS: dict[str, checks.Check] = {
    "units_per_second": checks.optional(checks.number(above=True)),
    "retry_after": checks.optional(checks.number()),
    "retry_after_form": checks.member(RetryAfterForm),
    "monthly_units": checks.optional(checks.whole()),
    "monthly_status": checks.one_of((429, 403)),
    "header_auth_v2": checks.flag,
    "reingest_on_every_network": checks.flag,
    "reingest_gone": checks.optional(checks.one_of((404, 410, 400))),
    "repeated_state": checks.member(RepeatedState),
    "after_finished": checks.member(AfterFinished),
    "progress_form": checks.member(ProgressForm),
    "refresh_rule_seconds": checks.number(),
    "repeated_refresh": checks.member(RepeatedRefresh),
    "refresh_on_every_network": checks.flag,
    "estimate_form": checks.member(EstimateForm),
    "batch_form": checks.member(BatchForm),
    "page_size": checks.whole(1, 100),
    "page_key_form": checks.member(PageKeyForm),
    "last_page_key": checks.member(LastPageKey),
    "repeat_page_key": checks.flag,
    "block_seconds": checks.optional(checks.number(0.001)),
    "first_block": checks.whole(),
    "max_block_range": checks.optional(checks.whole(1)),
    "range_refusal": checks.member(RangeRefusal),
    "max_logs": checks.optional(checks.whole(1)),
    "max_addresses": checks.optional(checks.whole(1)),
    "removed_logs": checks.flag,
    "lag_blocks": checks.whole(),
    "latency_seconds": checks.number(),
    "speed": checks.number(above=True),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The switches; see Alchemy's API reference, sections on throughput, errors and the NFT API.

    Enum members may be given as their text.

    :param units_per_second: throughput units a second, counted over 10 seconds for the whole account; 300
        is the free tier's. None: no limit. Below 48, no ``reingestContract`` call (480 units) ever fits.
    :param retry_after: seconds in the ``Retry-After`` header of a 429 for throughput; None, the default: no
        such header, because Alchemy does not promise one.
    :param retry_after_form: ``seconds`` (default, the common form) or ``date``.
    :param monthly_units: compute units after which every call is refused until :meth:`reset`; None, the
        default: no cap.
    :param monthly_status: HTTP status of that refusal, 429 (default) or 403: both were seen.
    :param header_auth_v2: whether the NFT API's v2 paths take the key from the ``Authorization`` header too; open at
        Alchemy, default yes.
    :param reingest_on_every_network: whether ``reingestContract`` works elsewhere than on ``eth-mainnet``;
        default no, as documented.
    :param reingest_gone: None (default), or the HTTP status (404, 410, 400) with which a retired
        ``reingestContract`` answers.
    :param repeated_state: ``already_queued`` (default, what clients see) or ``already_queried`` (what is
        documented).
    :param after_finished: after ``finished`` was reported, ``report`` (default) it again or ``restart``
        with a new job.
    :param progress_form: ``null``, ``int``, ``text`` (default, the documented one), ``percent`` or
        ``empty``.
    :param refresh_rule_seconds: for how long after ``refreshNftMetadata`` for a token another one does nothing;
        default 900, the documented 15 minutes.
    :param repeated_refresh: what such another one answers, open at Alchemy: ``accepted`` (default), the same answer,
        or ``refused``, 400 with a sentence that says so.
    :param refresh_on_every_network: whether ``refreshNftMetadata`` works elsewhere than on the documented networks;
        default no.
    :param estimate_form: the type of ``estimatedMsToRefresh``, ``int`` (default) or ``text``.
    :param batch_form: ``object`` (default, ``{"nfts": […]}``) or ``array``.
    :param page_size: how many tokens a page of a listing holds at most, whatever the call's ``limit``; default 100.
    :param page_key_form: ``hex`` (default) or ``decimal``.
    :param last_page_key: ``absent`` (default) or ``null``.
    :param repeat_page_key: whether every page names itself as the next one, so that a client that follows goes on
        for ever; default no.
    :param block_seconds: seconds between two blocks, at least 0.001; default 12, Ethereum's. None: no block comes but
        on command.
    :param first_block: the newest block of a network when it is first asked for; default 20,000,000. A chain that has
        begun does not go back to it.
    :param max_block_range: how many blocks one ``eth_getLogs`` may span, the first and the last among them, as asked;
        10 is the free tier's. None, the default: any number.
    :param range_refusal: how more blocks are refused: ``hint`` (default), 400 with a range that works; ``plain``, 400
        without one; ``ok``, status 200 with an error object. Too many logs come with such a range in ``hint`` only.
    :param max_logs: how many logs one answer may have; more are refused with 400. Default 10,000, as documented; None:
        any number.
    :param max_addresses: how many contracts one ``eth_getLogs`` may name; None, the default: any number.
    :param removed_logs: whether answers begin with the logs that reorganisations took away from the asked blocks, with
        ``removed`` true; default no.
    :param lag_blocks: by how many blocks the node is behind that answers every second call of the node API, on
        whichever network; default 0. It knows no block and no log after its own newest one.
    :param latency_seconds: how much later every answer of the API comes; default 0.
    :param speed: the seconds of jobs, of refreshes, of ``block_seconds`` and of ``refresh_rule_seconds`` are divided by
        it; default 1.0, real time.
    :raises ValueError: a value that is not accepted; the message names the field.
    """

    units_per_second: float | None = 300
    retry_after: float | None = None
    retry_after_form: RetryAfterForm = RetryAfterForm.SECONDS
    monthly_units: int | None = None
    monthly_status: int = 429
    header_auth_v2: bool = True
    reingest_on_every_network: bool = False
    reingest_gone: int | None = None
    repeated_state: RepeatedState = RepeatedState.ALREADY_QUEUED
    after_finished: AfterFinished = AfterFinished.REPORT
    progress_form: ProgressForm = ProgressForm.TEXT
    refresh_rule_seconds: float = 900.0
    repeated_refresh: RepeatedRefresh = RepeatedRefresh.ACCEPTED
    refresh_on_every_network: bool = False
    estimate_form: EstimateForm = EstimateForm.INT
    batch_form: BatchForm = BatchForm.OBJECT
    page_size: int = 100
    page_key_form: PageKeyForm = PageKeyForm.HEX
    last_page_key: LastPageKey = LastPageKey.ABSENT
    repeat_page_key: bool = False
    block_seconds: float | None = 12.0
    first_block: int = 20_000_000
    max_block_range: int | None = None
    range_refusal: RangeRefusal = RangeRefusal.HINT
    max_logs: int | None = 10_000
    max_addresses: int | None = None
    removed_logs: bool = False
    lag_blocks: int = 0
    latency_seconds: float = 0.0
    speed: float = 1.0

    def __post_init__(self) -> None:
        """Check every switch."""
        checks.apply_checks(self, _CHECKS)

    @property
    def seconds_between_blocks(self) -> float | None:
        """The real time between two blocks; None where no block comes by itself."""
        return None if self.block_seconds is None else self.block_seconds / self.speed

    def changed(self, /, **switches: Any) -> Settings:
        """Give these settings with some switches set anew.

        :param switches: the fields of this class to change.
        :return: the new settings.
        :raises ValueError: an unknown switch, or a value that is not accepted.
        """
        checks.refuse_unknown(Settings, switches)
        return replace(self, **switches)
