# SPDX-License-Identifier: Apache-2.0
"""What an error says of the call that it ended, in the words of many services and nodes."""

from __future__ import annotations

import pytest

from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyBadAnswerError,
    AlchemyConnectionError,
    AlchemyError,
    AlchemyRateLimitError,
    AlchemyRequestError,
    AlchemyServerError,
    AlchemyTimeoutError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.chain.refusals import Refusal, is_behind, named_blocks, refusal_of

FREE_PLAN = (
    "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range. Based on your "
    "parameters, this block range should work: [0x1312d00, 0x1312d09]. Upgrade to PAYG"
)
BY_SIZE = (
    "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the "
    "response size, or you can request any block range with a cap of 10K logs in the response. Based on your "
    "parameters and the response size limit, this block range should work: [0x1312d00, 0x1312d2b]"
)


@pytest.mark.parametrize(
    ("message", "blocks"),
    [
        (FREE_PLAN, 10),
        (BY_SIZE, 44),
        ("requests with up to a 500 block range.", 500),
        ("up to a 2K block range", 2_000),
        ("query exceeds max results 20000, retry with the range 20000000-20000900", 901),
        ("block range [0x1312d00, 0x131540f] is too wide, try the range [0x1312d00, 0x1312d63]", 100),
        ("exceed maximum block range: 5000", 5_000),
        ("Max range: 3500 blocks", 3_500),
        ("eth_getLogs is limited to 0 - 9,000 blocks range", 9_000),
        ("block range limit exceeded: 0 - 2000", 2_000),
        ("Maximum allowed number of requested blocks is 3500", 3_500),
        ("please limit the query to at most 1000 blocks", 1_000),
        ("block range too large (10000), maximum allowed is 1000 blocks", 1_000),
        ("block range too large, range: 10000, max: 1024", 1_024),
        ("exceeds the block range allowed for your plan (10000 > 3000)", 3_000),
        ("ranges over 5000 blocks are not supported on freetier", 5_000),
        ("requested too many blocks from 0 to 16777215, maximum is set to 2048", 2_048),
        # No less than what was refused, or no number of blocks at all.
        ("exceed maximum block range: 50000", None),
        ("up to a 0 block range", None),
        ("logs matched by query exceeds limit of 5000", None),
        ("query returned more than 5000 results", None),
        ("Query timeout exceeded. Consider reducing your block range.", None),
        ("block range is too wide", None),
        ("", None),
    ],
)
def test_a_refusal_may_name_the_range_that_would_work(message: str, blocks: int | None) -> None:
    assert named_blocks(message, below=10_000) == blocks


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (AlchemyRequestError(FREE_PLAN, http_status=400), Refusal.TOO_MANY),
        (AlchemyAuthenticationError(FREE_PLAN, http_status=403), Refusal.TOO_MANY),
        (AlchemyServerError("block range is too wide", http_status=503), Refusal.TOO_MANY),
        (AlchemyUnexpectedAnswerError("query exceeds max block range", http_status=200), Refusal.TOO_MANY),
        (AlchemyRequestError("too many addresses", http_status=400), Refusal.TOO_MANY),
        (AlchemyRequestError("request entity", http_status=413), Refusal.TOO_MANY),
        (AlchemyRequestError(BY_SIZE, http_status=400), Refusal.TOO_MUCH_HERE),
        (AlchemyUnexpectedAnswerError("h sent more than 16 MiB", http_status=200), Refusal.TOO_MUCH_HERE),
        (AlchemyServerError("Query timeout exceeded. Reduce your block range", http_status=503), Refusal.TOO_MUCH_HERE),
        (AlchemyTimeoutError("h gave no complete answer"), Refusal.TOO_MUCH_HERE),
        (AlchemyServerError("Gateway Time-out", http_status=504), Refusal.TOO_MUCH_HERE),
        (AlchemyServerError("Query timeout exceeded", http_status=503), Refusal.TOO_MUCH_HERE),
        (AlchemyServerError("context deadline exceeded", http_status=500), Refusal.TOO_MUCH_HERE),
        (AlchemyServerError("the query took too long to run", http_status=503), Refusal.TOO_MUCH_HERE),
        (AlchemyUnexpectedAnswerError("log query timed out", http_status=200), Refusal.TOO_MUCH_HERE),
        (
            AlchemyUnexpectedAnswerError("logs matched by query exceeds limit of 10000", http_status=200),
            Refusal.TOO_MUCH_HERE,
        ),
        (AlchemyUnexpectedAnswerError("More than 50000 logs returned", http_status=200), Refusal.TOO_MUCH_HERE),
        (
            AlchemyUnexpectedAnswerError("query returned more than 10000 results", http_status=200),
            Refusal.TOO_MUCH_HERE,
        ),
        (AlchemyServerError("backend response too large", http_status=502), Refusal.TOO_MUCH_HERE),
        (AlchemyServerError("", http_status=504), Refusal.UNCLEAR),
        (AlchemyBadAnswerError("the answer is cut short or no JSON", http_status=200), Refusal.UNCLEAR),
        (AlchemyConnectionError("no connection to h"), Refusal.UNCLEAR),
        (AlchemyServerError("limit", http_status=503), Refusal.UNCLEAR),
        (AlchemyRequestError("Invalid arg", http_status=400), Refusal.UNCLEAR),
        (AlchemyUnexpectedAnswerError("Moved", http_status=302), Refusal.UNCLEAR),
        (AlchemyUnexpectedAnswerError("the answer has no list of logs: too many"), Refusal.NONE),
        (AlchemyRateLimitError("has exceeded its compute units per second capacity", http_status=429), Refusal.NONE),
        (AlchemyAuthenticationError("limit", http_status=403), Refusal.NONE),
    ],
    ids=lambda value: str(value)[:50],
)
def test_an_error_means_too_much_or_something_else(error: AlchemyError, refusal: Refusal) -> None:
    assert refusal_of(error) is refusal


@pytest.mark.parametrize(
    "message",
    [
        "block range extends beyond current head block",
        "block range extends beyond current head block: requested 20000045, head 20000024",
        "Invalid params: from block is greater than latest block",
        "Request beyond head block: requested 20000045, head 20000024",
        "requested to block 20000045 after last accepted block 20000024",
        "requested from block 20000045 after last accepted block 20000024",
        "block range exceeds the current head",
        "toBlock is greater than the current block",
        "end (20000045) > latestBlock (20000024)",
        "fromBlock 20000045 is ahead of the chain head 20000024",
        "height 20000045 must be less than or equal to the current blockchain height 20000024",
        "One of the blocks specified in filter (fromBlock, toBlock or blockHash) cannot be found.",
        "header not found",
        "header for hash not found",
        "block #20000045 not found",
        "body not found for block 20000045",
        "Block with such an ID doesn't exist yet",
        "requested block is not yet available",
        "Unknown block",
        "could not find block: 20000045",
        "failed to get block 20000045",
        "toBlock is in the future",
        "requested a future epoch (beyond 'latest')",
        "block number 20000045 out of range",
        "node is still syncing",
        "RPC provider head is behind requested block",
    ],
)
@pytest.mark.parametrize("status", [200, 400, 404, 503])
def test_a_node_that_is_behind_says_so_in_many_ways(status: int, message: str) -> None:
    assert is_behind(AlchemyError(message, http_status=status))


@pytest.mark.parametrize(
    "message",
    [
        FREE_PLAN,
        BY_SIZE,
        "block range is too wide",
        "block range exceeds configured limit",
        "query exceeds max block range 1000 from latest",
        "block range is not available on the free tier",
        "exceeds the range allowed for your plan (5000 > 3000)",
        "requested too many blocks from 0 to 16777215, maximum is set to 2048",
        "Query timeout exceeded. Consider reducing your block range.",
        "header not found: pruned history unavailable",
        "Unsupported method: eth_getLogs",
        "Invalid arg",
    ],
)
def test_a_call_for_too_much_or_for_history_is_no_node_that_is_behind(message: str) -> None:
    assert not is_behind(AlchemyError(message, http_status=400))
