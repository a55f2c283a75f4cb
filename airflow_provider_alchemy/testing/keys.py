# SPDX-License-Identifier: Apache-2.0
"""The accepted API keys, in the one object that holds any.

Nothing else in the emulator stores a key, and nothing prints one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from enum import Enum
from typing import Final, Literal

MASK = "***"


class AnyKey(Enum):
    """The type of :data:`ANY_KEY`."""

    ANY_KEY = "any non-empty key"


ANY_KEY: Final = AnyKey.ANY_KEY
"""Given as ``api_keys``: every key is accepted as long as there is one."""

ApiKeys = Iterable[str] | Literal[AnyKey.ANY_KEY] | None


class KeyRing:
    """The keys that the emulated account accepts now.

    :param api_keys: the accepted keys; None: one random key; :data:`ANY_KEY`: any non-empty one.
    :raises ValueError: no key at all, an empty one, or one text instead of a sequence of them.
    """

    def __init__(self, api_keys: ApiKeys = None) -> None:
        self._keys: tuple[str, ...] = ()
        self._any = False
        self.accept(api_keys)

    def accept(self, api_keys: ApiKeys) -> None:
        """Replace the accepted keys; arguments and errors as for the class."""
        if isinstance(api_keys, str):
            msg = "api_keys must be a sequence of keys, not one text"
            raise ValueError(msg)  # noqa: TRY004 -- one kind of error for every wrong setting
        keys = (secrets.token_urlsafe(24),) if api_keys is None or api_keys is ANY_KEY else tuple(api_keys)
        if not keys or not all(keys):
            msg = "api_keys must hold at least one key, and no empty one"
            raise ValueError(msg)
        self._keys = keys
        self._any = api_keys is ANY_KEY

    @property
    def first(self) -> str:
        """A key that is accepted."""
        return self._keys[0]

    def opens(self, key: str) -> bool:
        """Tell whether a key is accepted."""
        return key != "" and (self._any or key in self._keys)

    def __repr__(self) -> str:
        return f"<KeyRing of {'any key' if self._any else f'{len(self._keys)} keys'}>"
