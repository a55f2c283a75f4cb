# SPDX-License-Identifier: Apache-2.0
"""An emulator in another process, steered from this one over its control interface."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import requests

from airflow_provider_alchemy.testing.calls import Call
from airflow_provider_alchemy.testing.control import CALLS, PREFIX


class RemoteEmulator:
    """The control interface of an emulator that runs as a process of its own, beside an Airflow or in a container.

    The commands are those that the emulator prints when it starts, such as ``jobs``, ``faults`` and ``counters``.

    :param url: the emulator's base URL, such as ``http://127.0.0.1:8765``.
    :param authority: the file of the authority that signed its certificate; default: one that the system trusts.
    :param timeout_seconds: how long an answer may take; default 30 s: machines of continuous integration are slow.
    """

    def __init__(self, url: str, *, authority: Path | None = None, timeout_seconds: float = 30.0) -> None:
        self.url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._session = requests.Session()
        # No proxy of the surroundings between us and the emulator, and no other authority.
        self._session.trust_env = False
        self._session.verify = True if authority is None else str(authority)

    def post(self, command: str, /, **payload: Any) -> dict[str, Any]:
        """Change something with a command that is sent with POST, such as ``jobs``, and give its answer.

        :raises ValueError: the emulator refuses; its sentence names the wrong field.
        :raises ConnectionError: no emulator answers.
        """
        return self._request("POST", command, json=payload)

    def get(self, command: str, /, **payload: Any) -> dict[str, Any]:
        """Ask something with a command that is sent with GET, such as ``counters``; errors as for :meth:`post`."""
        return self._request("GET", command, params=payload)

    def clear_faults(self) -> None:
        """Let nothing go wrong any more."""
        self._request("DELETE", "faults")

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that arrived, oldest first."""
        return CALLS.validate_python(self.get("calls")["calls"])

    def is_there(self) -> bool:
        """Whether it answers now."""
        try:
            return bool(self.get("health"))
        except ConnectionError:
            return False

    def close(self) -> None:
        """Close the connections to it."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _request(self, method: str, command: str, **sent: Any) -> dict[str, Any]:
        url = f"{self.url}{PREFIX}{command}"
        try:
            response = self._session.request(method, url, timeout=self._timeout_seconds, **sent)
        except requests.RequestException as error:
            msg = f"No emulator answers at {self.url} ({type(error).__name__})"
            raise ConnectionError(msg) from None
        try:
            answer: dict[str, Any] = response.json()
        except ValueError:
            answer = {}
        if not response.ok:
            reason = answer.get("error", {}).get("message", f"HTTP {response.status_code}")
            msg = f"The emulator at {self.url} refuses {command}: {reason}"
            raise ValueError(msg)
        return answer
