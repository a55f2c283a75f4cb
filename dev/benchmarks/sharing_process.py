# SPDX-License-Identifier: Apache-2.0
"""
One of several processes of an account that wait for refreshes: a triggerer's, with many waits, or a worker's.

It uses the package's poller as a triggerer and a poking sensor do, or its blocking client as a task of one's own does.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from airflow_provider_alchemy.api.client import AlchemyClient
from airflow_provider_alchemy.api.endpoints import reingest_contract
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.waits.interval import Interval
from airflow_provider_alchemy.waits.poller import Poller
from airflow_provider_alchemy.waits.reingest import ReingestGoal, ReingestState
from airflow_provider_alchemy.waits.wait import Wait
from dev.benchmarks.children import end_with_the_starter, hear, open_channel, say

POLLER, CLIENT = "poller", "client"
PATIENCE = 100
"""Refusals that a blocking call bears with: as a sensor's poke, it waits them out."""


def address(number: int) -> str:
    """
    Name a collection.

    :param number: Its number.
    :return: Its contract's address.
    """
    return f"0x{number:040x}"


async def wait_with_poller(settings: ClientSettings, contracts: Sequence[str], interval: float) -> int:
    """
    Wait for all collections in an event loop.

    :param settings: The account.
    :param contracts: The collections.
    :param interval: Seconds between two polls of one.
    :return: How many waits ended right.
    """
    poller = Poller(settings)
    waits = [
        Wait(ReingestGoal(ReingestState(contract_address=one)), source="benchmark", interval=Interval(seconds=interval))
        for one in contracts
    ]
    try:
        ends = await asyncio.gather(*(wait.run(poller) for wait in waits), return_exceptions=True)
    finally:
        await poller.aclose()
    return ends.count(None)


def wait_with_client(settings: ClientSettings, contracts: Sequence[str], interval: float) -> int:
    """
    Wait for all collections in threads.

    :param settings: The account.
    :param contracts: The collections.
    :param interval: Seconds between two polls of one.
    :return: How many waits ended right.
    """

    def wait(contract: str) -> bool:
        with AlchemyClient(settings) as client:
            while True:
                try:
                    if client.send(reingest_contract(contract, settings), max_attempts=PATIENCE).is_finished:
                        return True
                except AlchemyError as error:
                    logging.getLogger(__name__).warning("%s", error)
                    return False
                time.sleep(interval)

    with ThreadPoolExecutor(len(contracts)) as threads:
        return sum(threads.map(wait, contracts))


def main(argv: Sequence[str] | None = None) -> int:
    """
    Wait for a word to begin, with the account's settings, and say how many waits ended right.

    :param argv: The command line's arguments; default: this process's.
    :return: The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m dev.benchmarks.sharing_process", description=__doc__)
    parser.add_argument("--kind", choices=(POLLER, CLIENT), required=True)
    parser.add_argument("--first", type=int, required=True, help="number of the first collection")
    parser.add_argument("--contracts", type=int, required=True, help="how many collections")
    parser.add_argument("--interval", type=float, required=True, help="seconds between two polls of one")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    channel = open_channel()
    say(channel, {"ready": True})
    # Over the pipe: a command line is everybody's to read, and the Redis' password is in it.
    settings = ClientSettings(**hear())
    end_with_the_starter()
    contracts = [address(arguments.first + number) for number in range(arguments.contracts)]
    if arguments.kind == POLLER:
        ended = asyncio.run(wait_with_poller(settings, contracts, arguments.interval))
    else:
        ended = wait_with_client(settings, contracts, arguments.interval)
    say(channel, {"ended_right": ended, "ended_at": time.time()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
