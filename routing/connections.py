"""Connections to Postgres that never wait for an answer without an end."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

Result = TypeVar("Result")

ANSWER_MARGIN: Final = timedelta(seconds=5)
"""How much longer than a statement may take the client waits to be told so by the server."""

CONNECT_TIMEOUT: Final = timedelta(seconds=5)

# What the kernel can find out by itself: a host that is gone, a firewall that forgot the
# connection. A middlebox that takes everything and passes nothing on looks healthy to it; there
# the deadline of each answer counts.
_WATCHED_BY_THE_KERNEL: Final = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


class AnswerOverdue(psycopg.OperationalError):
    """The server did not answer in time; whether it has carried out the statement is unknown."""


class BoundedConnection(psycopg.AsyncConnection[TupleRow]):
    """Breaks when an answer takes longer than `longest_answer`; it is of no further use then."""

    longest_answer: timedelta = timedelta(seconds=30) + ANSWER_MARGIN
    _overdue: bool = False

    # The signature is psycopg's own, whose further parameters differ between its versions.
    async def wait(self, gen: PQGen[Result], *args: Any, **kwargs: Any) -> Result:
        """See `psycopg.AsyncConnection.wait`: all that passes the connection passes here.

        One timer, never a task to cancel: psycopg answers a cancellation by asking the server to
        cancel the statement, which is the very server that does not answer.
        """
        seconds = self.longest_answer.total_seconds()
        timer = asyncio.get_running_loop().call_later(seconds, self._give_up)
        try:
            return await super().wait(gen, *args, **kwargs)
        except psycopg.OperationalError as error:
            if self._overdue:
                raise AnswerOverdue(f"no answer from the server within {seconds:g} s") from error
            raise
        finally:
            timer.cancel()

    def _give_up(self) -> None:
        """End the conversation: whoever waits for the socket reads that it is closed."""
        self._overdue = True
        # A duplicate of the descriptor: libpq closes its own.
        with (
            suppress(OSError, psycopg.OperationalError),
            socket.socket(fileno=os.dup(self.pgconn.socket)) as ours,
        ):
            ours.shutdown(socket.SHUT_RDWR)


def connection_options(
    url: str, application: str, connect_timeout: timedelta = CONNECT_TIMEOUT
) -> dict[str, Any]:
    """Keyword arguments beside `url` for psycopg's connect; what the address itself says counts."""
    options = {
        **_WATCHED_BY_THE_KERNEL,
        "connect_timeout": max(1, int(connect_timeout.total_seconds())),
        "application_name": application,
    }
    said = conninfo_to_dict(url)
    return {name: value for name, value in options.items() if name not in said}
