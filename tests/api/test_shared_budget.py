# SPDX-License-Identifier: Apache-2.0
"""One budget for all processes of an account, in a real Redis that is killed, stopped, and started again."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest
from redis import Redis

from airflow_provider_alchemy.api import shared_budget
from airflow_provider_alchemy.api.errors import AlchemyConfigurationError, ErrorKind
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.shared_budget import SharedBudget
from airflow_provider_alchemy.api.throttle import Queue, Throttle, throttle_of
from dev.local_airflow.redis_server import RedisServer
from tests.key_search import places_in_redis, places_in_texts
from tests.waiting import eventually

from .shells import KEY

pytestmark = pytest.mark.integration

PASSWORD = "redis+pass/word%23"
HELD_SECONDS = 10.5
PLAN = 3_000.0


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(PASSWORD) as server:
        yield server


@pytest.fixture
def redis(server: RedisServer) -> RedisServer:
    """The server, empty."""
    with Redis.from_url(server.url) as client:
        client.flushall()
    return server


def settings_of(url: str, **fields: Any) -> ClientSettings:
    known: dict[str, Any] = {
        "api_key": KEY,
        "compute_units_per_second": PLAN,
        "source": "connection 'mine'",
        "shared_budget": url,
    }
    return ClientSettings(**known | fields)


def budget_of(server: RedisServer, **fields: Any) -> SharedBudget:
    return SharedBudget(settings_of(server.url, **fields), held_seconds=HELD_SECONDS)


def starts(server: RedisServer, budgets: list[SharedBudget], calls: list[int]) -> list[float]:
    """Give when each call may start by the server's clock, in seconds; any of the processes books it."""
    chosen, begun = random.Random(7), []
    with Redis.from_url(server.url) as client:
        for units in calls:
            chosen.choice(budgets).book(units)
            (key,) = client.keys("*")
            begun.append(int(client.lindex(key, -1).split()[0]) / 1e6)
    return begun


class TestTheWindow:
    @pytest.mark.parametrize("calls", [[480] * 200, [10, 480, 100] * 200, [100] * 999], ids=["dear", "mixed", "cheap"])
    def test_it_holds_for_all_processes_together_and_is_used_up(self, redis: RedisServer, calls: list[int]) -> None:
        begun = starts(redis, [budget_of(redis) for _ in range(4)], calls)

        booked = list(zip(begun, calls, strict=True))
        for at in begun[:: len(begun) // 100]:
            assert sum(units for other, units in booked if at <= other < at + HELD_SECONDS) <= PLAN * 10
        # Slower than the plan's rate by no more than what a call may be late.
        assert begun[-1] - begun[0] <= sum(calls) / (PLAN * 10 - 480) * HELD_SECONDS

    def test_nobody_overtakes(self, redis: RedisServer) -> None:
        begun = starts(redis, [budget_of(redis) for _ in range(4)], [480, 10, 10, 480] * 40)

        assert begun == sorted(begun)

    def test_half_of_it_may_be_used_at_once_and_the_rest_at_the_plans_rate(self, redis: RedisServer) -> None:
        budget = budget_of(redis)

        assert [budget.book(480) for _ in range(31)] == [0] * 31
        assert all(later - earlier > 0.159 for earlier, later in pairwise(starts(redis, [budget], [480] * 20)))

    def test_two_accounts_have_two(self, redis: RedisServer) -> None:
        one, other = budget_of(redis), budget_of(redis, api_key="another-key")
        starts(redis, [one], [480] * 100)

        assert one.book(480) > 0
        assert other.book(480) == 0

    def test_it_is_forgotten_when_it_is_over(self, redis: RedisServer) -> None:
        budget_of(redis).book(480)

        with Redis.from_url(redis.url) as client:
            (key,) = client.keys("*")
            assert 0 < client.pttl(key) <= HELD_SECONDS * 1000

    def test_a_clock_of_the_server_that_went_back_stops_nobody(self, redis: RedisServer) -> None:
        budget = budget_of(redis)
        budget.book(480)
        with Redis.from_url(redis.url) as client:
            (key,) = client.keys("*")
            client.lset(key, 0, f"{int((time.time() + 3600) * 1e6)} 480 480")

        assert budget.book(480) == 0


class TestCalls:
    async def test_a_call_waits_for_the_calls_of_another_process(self, redis: RedisServer) -> None:
        budget = budget_of(redis)
        throttle = Throttle(PLAN, shared=budget_of(redis))
        throttle.is_accepted = True
        starts(redis, [budget], [480] * 63)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(throttle.queue().wait(480), 0.2)
        with Redis.from_url(redis.url) as client:
            client.flushall()
        await throttle.queue().wait(480)

    async def test_the_most_urgent_one_starts_where_there_is_room(self, redis: RedisServer) -> None:
        throttle = Throttle(PLAN, shared=budget_of(redis))
        throttle.is_accepted = True
        queue, done = throttle.queue(), []

        async def call(name: str, priority: float) -> None:
            await queue.wait(10, priority=priority)
            done.append(name)

        await asyncio.gather(call("first", 0), call("urgent", 60), call("last", -60))

        assert done == ["urgent", "first", "last"]

    def test_threads_and_event_loops_start_all_that_fits(self, redis: RedisServer) -> None:
        throttles = [Throttle(PLAN, shared=budget_of(redis)) for _ in range(3)]
        started: list[float] = []

        def block(throttle: Throttle) -> None:
            started.extend(throttle.wait(480) for _ in range(5))

        def loop(throttle: Throttle) -> None:
            async def work() -> None:
                throttle.is_accepted = True
                queue = throttle.queue()
                started.extend(await asyncio.gather(*(queue.wait(480) for _ in range(5))))

            asyncio.run(work())

        threads = [threading.Thread(target=work, args=(one,)) for one in throttles for work in (block, loop)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(started) == 30
        with Redis.from_url(redis.url) as client:
            (key,) = client.keys("*")
            assert client.lrange(key, -1, -1)[0].split()[2] == str(30 * 480).encode()

    def test_a_blocking_call_starts_at_its_deadline(self, redis: RedisServer) -> None:
        throttle = Throttle(
            48, shared=SharedBudget(settings_of(redis.url, compute_units_per_second=48), held_seconds=1e5)
        )
        throttle.wait(480)

        assert throttle.wait(480, deadline=datetime.now(UTC) + timedelta(seconds=0.2))

    def test_all_clients_of_an_account_have_the_same(self, redis: RedisServer) -> None:
        settings = settings_of(redis.url)

        assert throttle_of(settings) is throttle_of(settings_of(redis.url))
        assert throttle_of(settings).shared is not None
        assert throttle_of(settings_of("")).shared is None


class TestRedisOutOfReach:
    @pytest.fixture(autouse=True)
    def asks_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared_budget, "RETRY_SECONDS", 0.0)

    def test_it_is_one_warning_and_calls_go_on_until_it_is_back(
        self, redis: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        budget = budget_of(redis)
        throttle = Throttle(PLAN, shared=budget)
        throttle.wait(480)
        redis.send(signal.SIGKILL)
        try:
            for _ in range(20):
                throttle.wait(480)
            # Before it is back: one that answers late on a busy machine is out of reach again.
            (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        finally:
            redis.start()
        eventually(lambda: throttle.wait(10) and "is back" in caplog.text)

        with Redis.from_url(redis.url) as client:
            eventually(lambda: budget.book(10) == 0 and client.keys("*"))
        assert "field 'shared_budget' of connection 'mine') is out of reach (ConnectionError)" in warning
        assert "a budget of its own, 3,000 compute units a second" in warning
        assert "is back: all processes of the account share one budget again" in caplog.text
        assert not places_in_texts(KEY, {"log": caplog.text})
        assert not places_in_texts(PASSWORD, {"log": caplog.text})

    def test_its_own_window_holds_meanwhile(self, redis: RedisServer) -> None:
        throttle = Throttle(48, shared=budget_of(redis, shared_budget="redis://127.0.0.1:1"))
        throttle.wait(480)

        assert throttle.try_start(480, time.monotonic()) > 0

    @pytest.mark.parametrize("timeout", [0.03, 0.3])
    def test_one_that_hangs_is_given_up(
        self, redis: RedisServer, timeout: float, caplog: pytest.LogCaptureFixture
    ) -> None:
        budget = budget_of(redis, timeout=timeout)
        budget.book(10)
        redis.send(signal.SIGSTOP)
        try:
            assert budget.book(480) == 0
            assert asyncio.run(budget.abook(480)) == 0
        finally:
            redis.send(signal.SIGCONT)

        assert "(TimeoutError)" in caplog.text

    async def test_an_event_loop_goes_on_while_redis_hangs(self, redis: RedisServer) -> None:
        budget, turns = budget_of(redis, timeout=1), 0
        redis.send(signal.SIGSTOP)
        try:
            booking = asyncio.create_task(budget.abook(480))
            while not booking.done():
                await asyncio.sleep(0.01)
                turns += 1
        finally:
            redis.send(signal.SIGCONT)

        assert (booking.result(), turns > 5) == (0, True)


class TestBadInput:
    @pytest.mark.parametrize(
        "url",
        [
            "memcached://127.0.0.1",
            "http://127.0.0.1:6379",
            "127.0.0.1:6379",
            "redis",
            "redis://",
            "redis:///0",
            "redis://:secret-word@127.0.0.1:port/0",
            "redis://:secret-word@127.0.0.1:99999/0",
            "redis://:secret-word@127.0.0.1:0/0",
            "redis://:secret-word@127.0.0.1/first",
            "unix:///run/redis.sock",
        ],
    )
    def test_what_is_no_url_of_a_redis_is_refused_and_not_shown(self, url: str) -> None:
        with pytest.raises(AlchemyConfigurationError) as caught:
            settings_of(url)

        assert "field 'shared_budget' of connection 'mine' is no URL of a Redis; expected one" in str(caught.value)
        assert "secret-word" not in str(caught.value)
        assert caught.value.__context__ is None

    @pytest.mark.parametrize("password", ["", ":wrong-password@", "nobody:wrong-password@"])
    async def test_a_redis_that_refuses_the_password_is_named(self, redis: RedisServer, password: str) -> None:
        url = f"redis://{password}{redis.url.rpartition('@')[2]}"
        throttle = Throttle(PLAN, shared=SharedBudget(settings_of(url), held_seconds=HELD_SECONDS))
        queue = Queue(throttle)

        errors = await asyncio.gather(*(queue.wait(480) for _ in range(3)), return_exceptions=True)
        with pytest.raises(AlchemyConfigurationError) as caught:
            throttle.wait(480)

        for error in (*errors, caught.value):
            assert isinstance(error, AlchemyConfigurationError)
            assert error.kind is ErrorKind.PERMANENT
            assert "field 'shared_budget' of connection 'mine': Redis at 127.0.0.1:" in str(error)
            assert "refuses the user or the password. Correct the URL: redis://" in str(error)
            assert "wrong-password" not in str(error)
            assert error.__context__ is None

    def test_an_option_that_is_not_known_is_named_by_its_field(self, redis: RedisServer) -> None:
        with pytest.raises(AlchemyConfigurationError, match=r"field 'shared_budget' .* has an option that"):
            budget_of(redis, shared_budget=f"{redis.url}?colour=red").book(480)

    def test_a_missing_extra_is_named(self, redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "redis", None)

        with pytest.raises(AlchemyConfigurationError) as caught:
            budget_of(redis).book(480)
        assert "field 'shared_budget' of connection 'mine' needs the Python package redis" in str(caught.value)
        assert "pip install 'airflow-provider-alchemy[redis]'" in str(caught.value)
        assert caught.value.__context__ is None

    @pytest.mark.parametrize("option", ["socket_timeout=1000", "socket_connect_timeout=1000"])
    def test_no_option_of_the_url_makes_a_call_wait_longer(self, redis: RedisServer, option: str) -> None:
        budget = budget_of(redis, shared_budget=f"{redis.url}?{option}", timeout=0.3)
        redis.send(signal.SIGSTOP)
        try:
            assert budget.book(480) == 0
        finally:
            redis.send(signal.SIGCONT)


class TestSecrets:
    def test_the_key_is_in_no_value_of_redis(self, redis: RedisServer) -> None:
        budget_of(redis).book(480)

        assert places_in_redis(KEY, redis.url) == []

    def test_the_password_is_in_no_representation(self, redis: RedisServer) -> None:
        settings, budget = settings_of(redis.url), budget_of(redis)

        assert not places_in_texts(PASSWORD, {"settings": repr(settings), "budget": repr(budget)})

    def test_it_is_masked_in_each_form(self) -> None:
        secrets = settings_of(f"redis://:{quote(PASSWORD, safe='')}@redis.example.com").secrets

        assert {KEY, PASSWORD, quote(PASSWORD, safe="")} < set(secrets)


def test_the_library_is_loaded_where_a_connection_asks_for_it_only() -> None:
    code = """
import sys
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.throttle import throttle_of
throttle_of(ClientSettings(api_key="a-key")).wait(480)
throttle_of(ClientSettings(api_key="a-key", shared_budget="redis://127.0.0.1:1"))
assert "redis" not in sys.modules
throttle_of(ClientSettings(api_key="a-key", shared_budget="redis://127.0.0.1:1")).wait(480)
assert "redis" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - the code above
