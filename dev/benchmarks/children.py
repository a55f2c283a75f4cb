# SPDX-License-Identifier: Apache-2.0
"""The child's side of ``processes``: its lines of JSON, and its end when nobody listens any more."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Mapping
from threading import Thread
from typing import Any, TextIO


def open_channel() -> TextIO:
    """
    Take standard output for messages, and send everything else that is printed to standard error.

    :return: The stream for :func:`say`.
    """
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return channel


def say(channel: TextIO, message: Mapping[str, Any]) -> None:
    """
    Send the starter a message.

    :param channel: The stream of :func:`open_channel`.
    :param message: What it is to know.
    """
    channel.write(json.dumps(message) + "\n")
    channel.flush()


def hear() -> dict[str, Any]:
    """
    Wait for a message of the starter.

    :return: The message.
    """
    line = sys.stdin.readline()
    if not line:
        sys.exit("nobody is there any more")
    message: dict[str, Any] = json.loads(line)
    return message


def end_with_the_starter() -> None:
    """End this process when its standard input ends: whoever started it is gone, perhaps without a word."""

    def listen() -> None:
        # Not sys.stdin: a thread that reads from it must not be left behind when Python ends.
        while os.read(0, 1024):
            pass
        os._exit(1)

    Thread(target=listen, daemon=True).start()


def allow_many_connections() -> None:
    """Allow this process as many open files as the system lets it have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
