# SPDX-License-Identifier: Apache-2.0
"""A key in a real Redis is found, whatever the value's type and the database; also in a message of Celery."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from celery import Celery
from redis import Redis

from tests.key_search import Form, Place, places_in_redis
from tests.key_search.written import WRITERS, Writer

pytestmark = pytest.mark.integration

EACH_WRITER = pytest.mark.parametrize(("form", "write"), WRITERS.values(), ids=WRITERS.keys())


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    """A client of the server, which is empty before and after the test."""
    with Redis.from_url(redis_url) as client:
        client.flushall()
        yield client
        client.flushall()


@EACH_WRITER
def test_a_place_is_told_with_its_form(
    form: Form, write: Writer, key: str, other_key: str, redis_url: str, client: Any
) -> None:
    client.rpush("default", write(other_key), f"<{write(key)}>")

    assert list(map(str, places_in_redis(key, redis_url))) == [f"Redis database 0, list default, item 1, as {form}"]


@pytest.mark.parametrize(
    ("put", "where"),
    [
        (lambda client, key: client.set("one", key), "string one"),
        (lambda client, key: client.set("one", b"\x80\xff" + key.encode()), "string one"),
        (lambda client, key: client.rpush("one", "a", key), "list one, item 1"),
        (lambda client, key: client.hset("one", "url", key), "hash one, field url"),
        (lambda client, key: client.hset("one", key, "1"), "hash one, the name of a field"),
        (lambda client, key: client.sadd("one", "a", key), "set one, a member"),
        (lambda client, key: client.zadd("one", {"a": 1, key: 2}), "zset one, a member"),
        (lambda client, key: client.xadd("one", {"url": key}, id="5-1"), "stream one, entry 5-1, field url"),
        (lambda client, key: client.xadd("one", {key: 1}, id="5-1"), "stream one, entry 5-1, the name of a field"),
        (lambda client, key: client.set(f"meta-{key}", "1"), "the name of string meta-***"),
    ],
    ids=range(10),
)
def test_a_key_in_any_type_of_value_is_found(
    put: Callable[[Any, str], object], where: str, key: str, redis_url: str, client: Any
) -> None:
    put(client, key)

    assert places_in_redis(key, redis_url) == [Place(f"Redis database 0, {where}", Form.CLEAR_TEXT)]


def test_a_field_that_is_named_by_the_key_is_told_without_it(key: str, redis_url: str, client: Any) -> None:
    client.hset("one", key, key)

    assert places_in_redis(key, redis_url) == [
        Place("Redis database 0, hash one, the name of a field", Form.CLEAR_TEXT),
        Place("Redis database 0, hash one, field ***", Form.CLEAR_TEXT),
    ]


def test_all_of_a_large_database_is_read(key: str, redis_url: str, client: Any) -> None:
    client.mset({f"name {number:05}": key if number % 1000 == 0 else "a" for number in range(5000)})

    where = [place.where for place in places_in_redis(key, redis_url)]

    assert where == [f"Redis database 0, string name {number:05}" for number in range(0, 5000, 1000)]


def test_other_databases_are_searched_too(key: str, redis_url: str, client: Any) -> None:
    client.select(9)
    client.set("one", quote(key, safe=""))

    assert places_in_redis(key, redis_url) == [Place("Redis database 9, string one", Form.URL_ENCODED)]


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("length", range(3))
def test_a_queued_message_of_celery_is_read(length: int, key: str, redis_url: str) -> None:
    with Celery(broker=redis_url) as app:
        app.send_task("execute_workload", ["x" * length + key], queue="default", argsrepr="hidden", kwargsrepr="hidden")

    assert places_in_redis(key, redis_url) == [Place("Redis database 0, list default, item 0", Form.BASE64)]
