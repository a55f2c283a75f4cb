# SPDX-License-Identifier: Apache-2.0
"""An emulator in another process, steered from this one over its control interface."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from airflow_provider_alchemy.testing.calls import Auth, Call
from airflow_provider_alchemy.testing.control import PREFIX


class RemoteEmulator:
    """
    The control interface of an emulator that runs as a process of its own, beside an Airflow or in a container.

    The commands are those that the emulator prints when it starts (``python -m
    airflow_provider_alchemy.testing.emulator``), such as ``jobs``, ``faults`` and ``counters``.

    :param url: The emulator's base URL, such as ``http://127.0.0.1:8765``.
    :param authority: The file of the authority that signed its certificate; default: it serves plain HTTP, or one that
        the system trusts.
    :param timeout_seconds: How long an answer may take. Default 30 s: machines of continuous integration are slow.
    """

    def __init__(self, url: str, *, authority: Path | None = None, timeout_seconds: float = 30.0) -> None:
        self.url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._session = requests.Session()
        # No proxy of the surroundings between us and the emulator, and no other authority.
        self._session.trust_env = False
        self._session.verify = True if authority is None else str(authority)

    def tell(self, command: str, /, **payload: Any) -> dict[str, Any]:
        """
        Change something.

        :param command: A command that is sent with POST, such as ``jobs``.
        :param payload: What it takes.
        :return: Its answer.
        :raises ValueError: The emulator refuses; its sentence names the wrong field.
        :raises ConnectionError: No emulator answers.
        """
        return self._ask("POST", command, payload)

    def look(self, command: str, /, **payload: Any) -> dict[str, Any]:
        """
        Ask something.

        :param command: A command that is sent with GET, such as ``counters``.
        :param payload: What it takes.
        :return: Its answer.
        :raises ValueError: The emulator refuses; its sentence names the wrong field.
        :raises ConnectionError: No emulator answers.
        """
        return self._ask("GET", command, payload)

    def clear_faults(self) -> None:
        """
        Let nothing go wrong any more.

        :raises ConnectionError: No emulator answers.
        """
        self._ask("DELETE", "faults", {})

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that arrived, oldest first."""
        return tuple(_call(row) for row in self.look("calls")["calls"])

    def is_there(self) -> bool:
        """
        Tell whether it answers.

        :return: Whether it does, now.
        """
        try:
            return bool(self.look("health"))
        except ConnectionError:
            return False

    def close(self) -> None:
        """Close the connections to it."""
        self._session.close()

    def __enter__(self) -> RemoteEmulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, method: str, command: str, payload: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.url}{PREFIX}{command}"
        sent: dict[str, Any] = {"params": payload} if method == "GET" else {"json": payload}
        try:
            response = self._session.request(method, url, timeout=self._timeout_seconds, **sent)
        except requests.RequestException as error:
            msg = f"No emulator answers at {self.url} ({type(error).__name__})"
            raise ConnectionError(msg) from None
        if not response.ok:
            msg = f"The emulator at {self.url} refuses {command}: {_reason(response)}"
            raise ValueError(msg)
        answer: dict[str, Any] = response.json()
        return answer


def _reason(response: requests.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return f"HTTP {response.status_code}"


def _call(row: dict[str, Any]) -> Call:
    blocks = row["blocks"]
    return Call(
        **{
            **row,
            "auth": Auth(row["auth"]),
            "token_ids": tuple(map(int, row["token_ids"])),
            "blocks": (int(blocks[0]), int(blocks[1])) if blocks else None,
        }
    )
