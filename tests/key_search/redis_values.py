# SPDX-License-Identifier: Apache-2.0
"""A key in Redis: in the names and values of every database, of each type; a queue of Celery is a list of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from redis import Redis

from tests.key_search.forms import KeyForms
from tests.key_search.places import Place, places_in


def places_in_redis(key: str, redis_url: str) -> list[Place]:
    """
    Find a key in the databases of a server.

    :param key: The key.
    :param redis_url: The URL of one of its databases, such as ``redis://127.0.0.1:6379/0``.
    :return: The database, the name and the part of the value, once for each form.
    :raises redis.RedisError: Something cannot be read: nobody knows then what is in it.
    """
    forms = KeyForms(key)
    with Redis.from_url(redis_url) as client:
        numbers = sorted(int(name.removeprefix("db")) for name in client.info("keyspace"))
    places: list[Place] = []
    for number in numbers:
        with Redis.from_url(urlsplit(redis_url)._replace(path=f"/{number}").geturl()) as client:
            for name in sorted(client.scan_iter(count=1000)):
                places += _places(client, name, f"Redis database {number}", forms)
    return places


def _places(client: Any, name: bytes, database: str, forms: KeyForms) -> Iterator[Place]:
    shown, kind = name.decode(errors="replace"), client.type(name).decode()
    yield from places_in(name, f"{database}, the name of {kind} {shown}", forms)
    for part, value in _values(client, name, kind):
        yield from places_in(value, f"{database}, {kind} {shown}{part}", forms)


def _values(client: Any, name: bytes, kind: str) -> Iterator[tuple[str, bytes]]:
    """Give each part of a value after its place in it; what is gone by now has none."""
    if kind == "string":
        yield "", client.get(name) or b""
    elif kind == "list":
        for index, value in enumerate(client.lrange(name, 0, -1)):
            yield f", item {index}", value
    elif kind == "hash":
        for field, value in client.hgetall(name).items():
            yield from _pair(field, value)
    elif kind in {"set", "zset"}:
        for member in client.smembers(name) if kind == "set" else client.zrange(name, 0, -1):
            yield ", a member", member
    elif kind == "stream":
        for entry, fields in client.xrange(name):
            for field, value in fields.items():
                for part, data in _pair(field, value):
                    yield f", entry {entry.decode()}{part}", data
    elif kind != "none":
        # A type of a module: Redis writes any value as bytes.
        yield "", client.dump(name) or b""


def _pair(field: bytes, value: bytes) -> Iterator[tuple[str, bytes]]:
    yield ", the name of a field", field
    yield f", field {field.decode(errors='replace')}", value
