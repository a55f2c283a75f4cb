# SPDX-License-Identifier: Apache-2.0
"""Free loopback ports that stay ours while an Airflow runs, also when its API server is down for a while.

It exists because several Airflows start at once in the tests: a port that is merely *found* free can
be given to the next one during the seconds that an API server needs before it binds.
"""

from __future__ import annotations

import socket
import sys

from dev.local_airflow.errors import LocalAirflowError

LOOPBACK = "127.0.0.1"
# Binding next to a bound but not listening socket is a Linux rule; elsewhere the server would be refused.
CAN_SHARE_WITH_SERVER = sys.platform == "linux"


class ReservedPort:
    """A loopback TCP port nobody else gets until it is released.

    The reserving socket is bound without ``SO_REUSEADDR``, so that the kernel gives its port to nobody
    else, and only then allows reuse: a server that sets ``SO_REUSEADDR`` (uvicorn does) may now bind and
    listen, because the reserving socket itself never listens.

    :param wanted: The port number, or 0 for any free one.
    :param purpose: What the port is for, to name in the sentence when it is taken.
    :raises LocalAirflowError: When the wanted port is taken.
    """

    def __init__(self, wanted: int = 0, *, purpose: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if wanted:
            # The closed connections of the last server on that port are no reason to refuse it.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((LOOPBACK, wanted))
        except OSError as error:
            self._socket.close()
            msg = (
                f"Port {wanted} on {LOOPBACK}, wanted for the {purpose}, cannot be used: {error.strerror}. "
                "End what listens there, or leave the port out to get a free one."
            )
            raise LocalAirflowError(msg) from error
        self.number: int = self._socket.getsockname()[1]
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not CAN_SHARE_WITH_SERVER:
            self._socket.close()

    def release(self) -> None:
        """Give the port up; releasing twice is harmless."""
        self._socket.close()
