# SPDX-License-Identifier: Apache-2.0
"""The REST interface of the API server: token, requests and errors as sentences.

It exists so that nobody else has to know about HTTP, and because a request that fails while a component
is being killed is not the same as one that is wrong.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import requests

from dev.local_airflow.errors import LocalAirflowError

REQUEST_SECONDS = 300
"""Between two bytes of an answer: longer than any busy machine lets one wait, since whoever gives up knows nothing."""
PAGE_SIZE = 100


class ApiServerUnreachableError(LocalAirflowError):
    """The API server did not answer, or could not (SQLite was busy), which may be for now only."""


class NotFoundError(LocalAirflowError):
    """The API server knows no such thing, which may be for now only."""


class ConflictError(LocalAirflowError):
    """The API server has such a thing already."""


_REFUSALS: dict[int, type[LocalAirflowError]] = {
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
}


class RestApi:
    """The REST interface under one base URL.

    :param url: The base URL, without a slash at the end.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        # No proxy of the surroundings between us and the loopback.
        self._session.trust_env = False

    def close(self) -> None:
        """Close its connections, for which the API server would otherwise wait when it ends."""
        self._session.close()

    def get(self, path: str, **parameters: str | int | bool) -> Any:
        """Read something.

        :param path: The path under ``/api/v2/``.
        :param parameters: The query.
        :returns: The answer, parsed.
        :raises LocalAirflowError: When there is no good answer.
        """
        return self._request("GET", path, parameters=parameters)

    def send(self, method: str, path: str, body: dict[str, Any]) -> Any:
        """Change something.

        :param method: The HTTP method.
        :param path: The path under ``/api/v2/``.
        :param body: What to send as JSON.
        :returns: The answer, parsed.
        :raises LocalAirflowError: When there is no good answer.
        """
        return self._request(method, path, body=body)

    def pages(self, path: str, key: str) -> list[dict[str, Any]]:
        """Read a whole collection, page by page.

        :param path: The path under ``/api/v2/``.
        :param key: Under which the answer has the elements.
        :returns: All elements.
        :raises LocalAirflowError: When there is no good answer.
        """
        elements: list[dict[str, Any]] = []
        while True:
            page = self.get(path, limit=PAGE_SIZE, offset=len(elements))
            elements += page[key]
            if not page[key] or len(elements) >= page["total_entries"]:
                return elements

    def health(self) -> dict[str, Any]:
        """Ask for the health report, which needs no token.

        :returns: The report: ``metadatabase``, ``scheduler``, ``dag_processor``, ``triggerer``.
        :raises LocalAirflowError: When there is no good answer.
        """
        report: dict[str, Any] = self._request("GET", "monitor/health", with_token=False)
        return report

    def _request(
        self,
        method: str,
        path: str,
        *,
        parameters: dict[str, str | int | bool] | None = None,
        body: dict[str, Any] | None = None,
        with_token: bool = True,
    ) -> Any:
        if with_token and "Authorization" not in self._session.headers:
            token = _answer(self._call("GET", f"{self.url}/auth/token"))["access_token"]
            self._session.headers["Authorization"] = f"Bearer {token}"
        return _answer(self._call(method, f"{self.url}/api/v2/{path}", params=parameters, json=body))

    def _call(self, method: str, url: str, **arguments: Any) -> requests.Response:
        try:
            return self._session.request(method, url, timeout=REQUEST_SECONDS, **arguments)
        except (requests.ConnectionError, requests.Timeout) as error:
            msg = f"The API server at {self.url} does not answer: {error}"
            raise ApiServerUnreachableError(msg) from error


def _answer(response: requests.Response) -> Any:
    if response.ok:
        return response.json()
    asked = f"{response.request.method} {response.request.url}"
    msg = f"The API server refused {asked} with {response.status_code}: {response.text}"
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ApiServerUnreachableError(msg)
    raise _REFUSALS.get(response.status_code, LocalAirflowError)(msg)
