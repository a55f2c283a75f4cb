# SPDX-License-Identifier: Apache-2.0
"""
Tells where an API key stands: in files, in PostgreSQL, in Redis, in texts.

A key leaks in many forms: as a part of a URL, in the JSON of a row, in the base64 of a queued message. A search that
knows one form only finds nothing and proves nothing. What it finds it names by its place, without the key, so that a
failing test's report is no leak itself.
"""

from tests.key_search.files import places_in_folder
from tests.key_search.forms import Form
from tests.key_search.places import Place, places_in_texts
from tests.key_search.postgresql import places_in_postgresql
from tests.key_search.redis_values import places_in_redis
from tests.key_search.stores import places_of

__all__ = [
    "Form",
    "Place",
    "places_in_folder",
    "places_in_postgresql",
    "places_in_redis",
    "places_in_texts",
    "places_of",
]
