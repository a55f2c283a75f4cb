# SPDX-License-Identifier: Apache-2.0
"""Faults: what goes wrong, when, how often, and for which calls.

A fault is a value that checks itself; the plan only decides which call it hits. What it does to an answer
is in ``faulty_answers``, and what it does to a connection in ``delivery``.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from airflow_provider_alchemy.testing import checks
from airflow_provider_alchemy.testing.answers import BodyForm
from airflow_provider_alchemy.testing.settings import RetryAfterForm


class FaultKind(StrEnum):
    """What can go wrong.

    ======================== ==================================================================
    ``http``                 an error status, in one of four body forms
    ``inactive_app``         403, ``App is inactive.`` as plain text
    ``network_disabled``     403, the network is not enabled for the app
    ``redirect``             302 to another place
    ``empty``                200 without a body
    ``html``                 200 with a proxy's page
    ``not_json``             200 with a text that is called JSON
    ``cut_json``             200 with half of the JSON
    ``error_object``         200 with an ``error`` object
    ``wrong_types``          200 with values of the wrong type
    ``unknown_state``        200 with a refresh state that no document names
    ``other_contract``       200 about another contract
    ``large``                200 with a body of 5 MB
    ``cut``                  the connection closes before ``Content-Length`` bytes were sent
    ``drip``                 one byte a second
    ``slow``                 the right answer, late
    ``reset``                the connection is reset (TCP RST)
    ``hang``                 the call is taken and never answered
    ======================== ==================================================================
    """

    HTTP = "http"
    INACTIVE_APP = "inactive_app"
    NETWORK_DISABLED = "network_disabled"
    REDIRECT = "redirect"
    EMPTY = "empty"
    HTML = "html"
    NOT_JSON = "not_json"
    CUT_JSON = "cut_json"
    ERROR_OBJECT = "error_object"
    WRONG_TYPES = "wrong_types"
    UNKNOWN_STATE = "unknown_state"
    OTHER_CONTRACT = "other_contract"
    LARGE = "large"
    CUT = "cut"
    DRIP = "drip"
    SLOW = "slow"
    RESET = "reset"
    HANG = "hang"


_AFTER_BY_DEFAULT = frozenset({FaultKind.SLOW, FaultKind.OTHER_CONTRACT})

_CHECKS: dict[str, checks.Check] = {
    "kind": checks.member(FaultKind),
    "times": checks.optional(checks.whole(1)),
    "probability": checks.number(0.0, 1.0),
    "endpoint": checks.optional(checks.text),
    "contract_address": checks.optional(checks.address),
    "after_processing": checks.optional(checks.flag),
    "status": checks.one_of(range(400, 600)),
    "body": checks.member(BodyForm),
    "message": checks.optional(checks.text),
    "headers": checks.header_texts,
    "retry_after": checks.optional(checks.number()),
    "retry_after_form": checks.member(RetryAfterForm),
    "seconds": checks.number(),
    "location": checks.text,
    "state": checks.text,
    "fields": checks.optional(checks.mapping),
    "size": checks.whole(1),
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong; the defaults suit each kind, only ``kind`` is required.

    :param kind: what goes wrong.
    :param times: how many calls it hits; None, the default: every one until the faults are cleared.
    :param probability: the chance, from 0 to 1, that a call is hit; default 1. The dice are seeded.
    :param endpoint: only calls of this endpoint; None: of any.
    :param contract_address: only calls about this contract, the first one of a batch; None: about any.
    :param after_processing: False: the call never reaches the service, so it starts no job; True: the
        service did its work (only calls that it would answer with 200 are hit) and the answer is spoilt.
        None, the default: True for ``slow`` and ``other_contract``, else False. ``slow`` cannot be False.
    :param status: the status of ``http``, 400 to 599; default 500.
    :param body: the body form of ``http`` and ``error_object``; default ``error``, which for the node API is JSON-RPC.
    :param message: another sentence than the service's own for this kind or status.
    :param headers: further headers of ``http``.
    :param retry_after: seconds in the ``Retry-After`` of ``http``; None, the default: no such header.
    :param retry_after_form: ``seconds`` (default) or ``date``.
    :param seconds: how late ``slow`` is, and the time between two bytes of ``drip``; default 1.
    :param location: where ``redirect`` points to; the default is a path that the emulator does not know, so
        that a client that follows it shows up as a call of the endpoint ``unknown``.
    :param state: what ``unknown_state`` reports.
    :param fields: what ``wrong_types`` puts into the answer, or into each of its NFTs or contracts where it has
        several, or into each log of ``eth_getLogs``; None, the default: one wrong field that suits the endpoint.
    :param size: bytes of ``large``; default 5 MB.
    :raises ValueError: a value that is not accepted; the message names the field.
    """

    kind: FaultKind
    times: int | None = None
    probability: float = 1.0
    endpoint: str | None = None
    contract_address: str | None = None
    after_processing: bool | None = None
    status: int = 500
    body: BodyForm = BodyForm.ERROR
    message: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None
    retry_after_form: RetryAfterForm = RetryAfterForm.SECONDS
    seconds: float = 1.0
    location: str = "/redirected"
    state: str = "warming_up"
    fields: Mapping[str, Any] | None = None
    size: int = 5_000_000

    def __post_init__(self) -> None:
        """Check every field."""
        checks.apply_checks(self, _CHECKS)
        if self.kind is FaultKind.SLOW and self.after_processing is False:
            msg = "after_processing cannot be false for slow: a late answer is still the service's own"
            raise ValueError(msg)
        checks.header_texts("location", {"Location": self.location})

    @property
    def is_after(self) -> bool:
        """Whether the service has done its work before the fault happens."""
        return self.kind in _AFTER_BY_DEFAULT if self.after_processing is None else self.after_processing

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Fault:
        """Build a fault from field names and values, refusing unknown names with a ``ValueError``."""
        checks.refuse_unknown(cls, fields)
        return cls(**fields)


class FaultPlan:
    """The faults that wait for a call, oldest first.

    :param seed: seed of the dice, so that a test with probabilities is the same in each run.
    """

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311 -- chance for tests, which must repeat; no secret comes from it
        self._armed: list[Fault] = []
        self._left: list[int | None] = []

    def add(self, fault: Fault) -> None:
        """Let a fault wait for its calls."""
        self._armed.append(fault)
        self._left.append(fault.times)

    def clear(self) -> None:
        """Forget every fault."""
        self._armed.clear()
        self._left.clear()

    def pick(
        self, endpoint: str, contract_address: str | None, *, spared: Collection[FaultKind], after: bool
    ) -> Fault | None:
        """Find the fault that hits a call, and count the hit.

        :param endpoint: the call's endpoint.
        :param contract_address: the contract it asks about, in any case.
        :param spared: the kinds that cannot happen to this endpoint's answers.
        :param after: whether the service has done its work.
        :return: the fault, None if the call is spared.
        """
        for index, fault in enumerate(self._armed):
            if (
                fault.is_after is after
                and self._left[index] != 0
                and fault.endpoint in {None, endpoint}
                and fault.contract_address in {None, (contract_address or "").lower()}
                and fault.kind not in spared
                and self._dice.random() < fault.probability
            ):
                left = self._left[index]
                self._left[index] = None if left is None else left - 1
                return fault
        return None
