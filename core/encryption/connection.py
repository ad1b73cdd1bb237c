"""A connection to the server: uvicorn's, with bounds on what one may take and answers in the service's own words."""

import asyncio
import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from core.encryption.application import UNKNOWN_REQUEST

MAX_CONNECTIONS = 256
HEADER_SECONDS = 10.0
ANSWER_SECONDS = 10.0


class BoundedConnection(H11Protocol):
    """Takes one request.

    Its headers come within `HEADER_SECONDS` and its answer is taken within `ANSWER_SECONDS`; `application` bounds its
    body, and `WorkerProcess` the work. One connection too many is closed at once.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for headers."""
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.close()
        else:
            self._close_within(HEADER_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Stop the clock where these bytes complete the headers."""
        super().data_received(data)
        if self.cycle is not None:
            self._stop_clock()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn returns None, which asyncio takes for False
        """Keep the connection for the answer: a client may close its side once it has asked."""
        if self.cycle is None:
            return False
        # A body that ends too early is for the application to complain about.
        self.cycle.more_body = False
        self.cycle.message_event.set()
        return True

    def on_response_complete(self) -> None:
        """Start to wait for the client to take the answer."""
        super().on_response_complete()
        self._close_within(ANSWER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, as every other error is answered."""
        body = json.dumps({"error": UNKNOWN_REQUEST}).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close")]
        response = h11.Response(status_code=400, headers=headers, reason="Bad Request")
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _close_within(self, seconds: float) -> None:
        self._stop_clock()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
