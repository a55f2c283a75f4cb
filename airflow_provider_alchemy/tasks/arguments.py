# SPDX-License-Identifier: Apache-2.0
"""
What may stand in a task's arguments: literals are checked where the DAG is parsed, templates once they are rendered.

A wrong argument is the user's to change, so Airflow must not retry it: each error is final.
"""

from __future__ import annotations

import math
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from airflow_provider_alchemy.api import inputs
from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.api.inputs import read_connection_id, read_contract_address, read_network
from airflow_provider_alchemy.defaults import DEFAULT_MAX_INTERVAL_SECONDS, MAX_SAMPLE_SIZE
from airflow_provider_alchemy.tasks import lazy
from airflow_provider_alchemy.tasks.exceptions import final

T = TypeVar("T")


def is_template(value: Any) -> bool:
    """Whether an argument gets its value only when the task runs: an XComArg, or a text with Jinja in it."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    # Airflow's values that are resolved later have this in common, and no public type.
    return callable(getattr(value, "iter_references", None))


MAX_SERIALIZED = 2**63 - 1
"""The largest whole number that Airflow's messages between processes hold: a larger one ends the process that sends it,
and with it every DAG of its file."""


def with_large_as_text(value: Any) -> Any:
    """Write the whole numbers in an argument that Airflow cannot serialise as texts: token ids have up to 256 bits."""
    if isinstance(value, int) and not -MAX_SERIALIZED <= value <= MAX_SERIALIZED:
        return str(value)
    if type(value) in {dict, OrderedDict, defaultdict}:
        return {with_large_as_text(key): with_large_as_text(item) for key, item in value.items()}
    if type(value) in {list, tuple, set, frozenset}:
        return type(value)(with_large_as_text(item) for item in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(with_large_as_text, value))
    return value


WIDENED_BY_NONE = ("token_ids", "network", "since", "since_block", "max_compute_units")
"""Arguments whose None means more than any value: all tokens, another network, another place to begin, any amount."""


def without_none(arguments: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a task has by default, so that None in an argument of a mapped task is what it was mapped over."""
    return {name: value for name, value in arguments.items() if value is not None or name not in WIDENED_BY_NONE}


def check_is_no_mapped_nothing(task: Any, context: Any) -> None:
    """Refuse None among mapped values: it rendered to nothing, and is no wish for more than the others are."""
    if map_index_of(context) < 0:
        return
    # Airflow's own record of the arguments that were given: None is also what an argument is that was left out.
    given = getattr(task, "_BaseOperator__init_kwargs", {})
    for argument in WIDENED_BY_NONE:
        if argument in given and getattr(task, argument, None) is None:
            msg = f"argument {argument!r} is None in a mapped task: the value that it was mapped over is nothing"
            raise AlchemyArgumentError(msg, advice=f"Map over values only, or leave out {argument}")


def map_index_of(context: Any) -> int:
    """Give the number of a mapped task's instance, -1 for any other task: users' unit tests give anything as one."""
    map_index = getattr(context.get("ti"), "map_index", -1)
    return map_index if isinstance(map_index, int) else -1


def check_value(value: Any, read: Callable[[Any], T], *, is_optional: bool = False) -> Any:
    """Check an argument that is known before the task runs, with what reads it when the task runs; give it back."""
    if is_template(value) or (is_optional and value is None):
        return value
    try:
        read(value)
    except AlchemyArgumentError as error:
        raise final(error) from None
    return value


def check_literals(contract_address: Any, network: Any, alchemy_conn_id: Any) -> None:
    check_value(contract_address, read_contract_address)
    check_account(network, alchemy_conn_id)


def check_account(network: Any, alchemy_conn_id: Any) -> None:
    check_value(network, read_network, is_optional=True)
    check_value(alchemy_conn_id, read_connection_id)


def read_contracts(contract_addresses: Any) -> tuple[Any, int]:
    """Check the contracts that are known before the task runs; give them, and how many are known."""
    value, known = _read_list(
        contract_addresses,
        inputs.CONTRACTS_ARGUMENT,
        inputs.CONTRACTS_EXPECTED,
        lambda items: len(inputs.read_contracts(items, is_template).addresses),
    )
    return value, max(known, 1)


def read_tokens(token_ids: Any) -> tuple[Any, int]:
    """Check the tokens that are known before the task runs, like ``read_contracts``; None is none."""
    if token_ids is None:
        return None, 0
    return _read_list(
        token_ids,
        inputs.TOKENS_ARGUMENT,
        inputs.TOKENS_EXPECTED,
        lambda items: len(inputs.read_token_ids(items, is_template).ids),
    )


def _read_list(value: Any, argument: str, expected: str, count: Callable[[Any], int]) -> tuple[Any, int]:
    if is_template(value):
        return value, 0
    try:
        items = inputs.read_items(value, argument, expected)
        known = count(items)
    except AlchemyArgumentError as error:
        raise final(error) from None
    return with_large_as_text(value if isinstance(value, str | list | tuple) else items), known


def read_choice(value: Any, argument: str, choices: Sequence[str | None]) -> Any:
    if value not in choices:
        _refuse(f"argument {argument!r} is {value!r}; expected {' or '.join(map(repr, choices))}")
    return value


def read_seconds(value: float | timedelta, argument: str, minimum: float = 0) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not math.isfinite(seconds) or seconds < minimum:
        _refuse(f"argument {argument!r} is {value!r}; expected a number of seconds from {minimum:g}, or a timedelta")
    return float(seconds)


def read_max_interval(
    max_poll_interval: float | timedelta | None, poll_interval: float, poll_argument: str = "poll_interval"
) -> float:
    """Check the longest adaptive interval; None is ten minutes, or the shortest interval where that is longer."""
    if max_poll_interval is None:
        return max(DEFAULT_MAX_INTERVAL_SECONDS, poll_interval)
    longest = read_seconds(max_poll_interval, "max_poll_interval")
    if longest < poll_interval:
        _refuse(
            f"argument 'max_poll_interval' is {longest:g} s, shorter than {poll_argument!r}, which is "
            f"{poll_interval:g} s; expected at least as much",
            f"Raise max_poll_interval, lower {poll_argument}, or leave it out",
        )
    return longest


def read_count(value: int | None, argument: str) -> int | None:
    if value is not None and not _is_whole(value, 0):
        _refuse(f"argument {argument!r} is {value!r}; expected a whole number from 0, or None for no limit")
    return value


def read_batch_spending_limit(max_compute_units: int | None, contracts: int) -> int | None:
    """Check that a batch may spend one call for each of its contracts."""
    what = "one call of reingestContract" if contracts == 1 else f"one call for each of {contracts:,} contracts"
    return read_spending_limit(max_compute_units, lambda: contracts * _price_of_reingest(), what)


def _price_of_reingest() -> int:
    return lazy.endpoints.REINGEST_CONTRACT.compute_units


def read_spending_limit(
    max_compute_units: int | None,
    price: Callable[[], int] = _price_of_reingest,
    what: str = "one call of reingestContract",
) -> int | None:
    limit = read_count(max_compute_units, "max_compute_units")
    if limit is not None and limit < (least := price()):
        _refuse(
            f"argument 'max_compute_units' is {limit:,}; {what} costs {least:,} at least",
            f"Raise it to {least:,} at least, or leave it out for no limit",
        )
    return limit


def read_amount(value: float, argument: str, things: str) -> float:
    """Check how many of several: a whole number from 0, or a share from 0.0 to 1.0."""
    if not _is_whole(value, 0) and not (isinstance(value, float) and 0 <= value <= 1):
        _refuse(
            f"argument {argument!r} is {value!r}; expected a whole number of {things} from 0, or a share of them as a "
            "decimal from 0.0 to 1.0"
        )
    return value


def read_sample_size(sample_size: int) -> int:
    if not _is_whole(sample_size, 1) or sample_size > MAX_SAMPLE_SIZE:
        _refuse(
            f"argument 'sample_size' is {sample_size!r}; expected a whole number from 1 to {MAX_SAMPLE_SIZE:,}",
            "To wait for more tokens, name them with token_ids",
        )
    return sample_size


def read_seed(seed: int | None) -> int | None:
    if seed is not None and not _is_whole(seed, -MAX_SERIALIZED):
        _refuse(
            f"argument 'seed' is {seed!r}; expected a whole number, or None for one that is derived from the task's run"
        )
    return seed


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= MAX_SERIALIZED


def _refuse(problem: str, advice: str | None = None) -> NoReturn:
    raise final(AlchemyArgumentError(problem, advice=advice))
