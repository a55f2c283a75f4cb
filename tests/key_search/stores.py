# SPDX-License-Identifier: Apache-2.0
"""A key in all that an Airflow leaves behind, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.key_search.files import places_in_folder
from tests.key_search.places import Place, places_in_texts
from tests.key_search.postgresql import places_in_postgresql
from tests.key_search.redis_values import places_in_redis


def places_of(
    key: str,
    *,
    folder: Path | None = None,
    database_url: str | None = None,
    redis_url: str | None = None,
    texts: Mapping[str, str] | None = None,
) -> list[Place]:
    """
    Find a key wherever it may have gone; what is not given is not searched.

    :param key: The key.
    :param folder: A folder with files: logs, SQLite databases, the data of servers.
    :param database_url: The URL of a PostgreSQL database; all databases of its server are searched.
    :param redis_url: The URL of a Redis database; all databases of its server are searched.
    :param texts: Texts by what they are, for example the output of a process.
    :return: Each place, for a person, without the key. Empty: the key is nowhere.
    """
    places: list[Place] = []
    if folder is not None:
        places += places_in_folder(key, folder)
    if database_url is not None:
        places += places_in_postgresql(key, database_url)
    if redis_url is not None:
        places += places_in_redis(key, redis_url)
    return places + places_in_texts(key, texts or {})
