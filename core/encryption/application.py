"""The server's requests, as a Starlette application.

    GET    /health                          how many sessions and workers there are
    POST   /heads                           .npz → its SHA-256
    POST   /sessions                        public context → session and token, as JSON
    POST   /sessions/ID/predict/SHA-256     encrypted token → encrypted logits
    POST   /sessions/ID/contribute          encrypted vector → how many were added
    POST   /sessions/ID/mean                → the encrypted mean
    DELETE /sessions/ID

Whatever goes wrong is answered as {"error": one sentence}.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.encryption.session_store import SessionStore
from core.encryption.wire import LIMITS, NONCE_HEADER, SECONDS_HEADER, TAG_HEADER, tag, tag_matches
from core.encryption.worker_process import BUSY, RequestError

BODY_SECONDS = 10.0
MAX_BYTES_IN_FLIGHT = 256 * 10**6
METHODS = ("GET", "POST", "DELETE")

NOTHING_HERE = "There is nothing at this path."
UNKNOWN_REQUEST = "This is no request that the encryption service knows."
TAG_MISMATCH = "What arrived is not what this session's client sent: its tag doesn't fit, so nothing was computed."
FAILED = "The server failed on this request; try again."


def create_application(store: SessionStore) -> Starlette:
    """Return the application that answers requests from a store."""
    endpoints = _Endpoints(store)
    application = Starlette(
        routes=[
            Route("/health", endpoints.health, methods=["GET"]),
            Route("/heads", endpoints.keep_head, methods=["POST"]),
            Route("/sessions", endpoints.open_session, methods=["POST"]),
            Route("/sessions/{session}", endpoints.close_session, methods=["DELETE"]),
            Route("/sessions/{session}/predict/{head}", endpoints.predict, methods=["POST"]),
            Route("/sessions/{session}/contribute", endpoints.contribute, methods=["POST"]),
            Route("/sessions/{session}/mean", endpoints.mean, methods=["POST"]),
        ],
        exception_handlers={RequestError: _refused, HTTPException: _not_found, Exception: _failed},
    )
    application.router.redirect_slashes = False
    return application


class BodyReader:
    """Reads bodies: each within a limit of its own, and all that are held at once within `MAX_BYTES_IN_FLIGHT`."""

    def __init__(self) -> None:
        self._held = 0

    @contextlib.asynccontextmanager
    async def read(self, request: Request, action: str) -> AsyncIterator[bytes]:
        """Give the body of a request, which counts as held until it has been answered.

        Raises
        ------
        RequestError
            A body beyond its limit, of unknown length, or that isn't whole within `BODY_SECONDS`; too many bytes held.
        """
        length, body = _stated_length(request, LIMITS.get(action, 0)), bytearray()
        try:
            with contextlib.suppress(TimeoutError, ClientDisconnect):
                async with asyncio.timeout(BODY_SECONDS):
                    async for part in request.stream():
                        body += part
                        self._held += len(part)
                        if self._held > MAX_BYTES_IN_FLIGHT:
                            raise RequestError(HTTPStatus.SERVICE_UNAVAILABLE, BUSY)
            if len(body) < length:
                raise RequestError(
                    HTTPStatus.BAD_REQUEST, "The body is shorter than the request states; send it again."
                )
            yield bytes(body)
        finally:
            self._held -= len(body)


class _Endpoints:
    def __init__(self, store: SessionStore):
        self._store, self._bodies = store, BodyReader()

    async def health(self, request: Request) -> Response:
        return JSONResponse(self._store.health())

    async def keep_head(self, request: Request) -> Response:
        async with self._bodies.read(request, "heads") as head:
            return JSONResponse({"head": await self._store.keep_head(head)})

    async def open_session(self, request: Request) -> Response:
        async with self._bodies.read(request, "sessions") as context:
            name, token = await self._store.open(context)
        return JSONResponse({"session": name, "token": token.hex()})

    async def close_session(self, request: Request) -> Response:
        async with self._authenticated_body(request, "close"):
            await self._store.close(request.path_params["session"])
        return JSONResponse({"closed": True})

    async def predict(self, request: Request) -> Response:
        session, head = request.path_params["session"], request.path_params["head"]
        async with self._authenticated_body(request, "predict") as ciphertext:
            return await self._tagged(request, self._store.predict(session, head, ciphertext))

    async def contribute(self, request: Request) -> Response:
        async with self._authenticated_body(request, "contribute") as chunks:
            return await self._tagged(request, self._store.contribute(request.path_params["session"], chunks))

    async def mean(self, request: Request) -> Response:
        async with self._authenticated_body(request, "mean"):
            return await self._tagged(request, self._store.mean(request.path_params["session"]))

    @contextlib.asynccontextmanager
    async def _authenticated_body(self, request: Request, action: str) -> AsyncIterator[bytes]:
        async with self._bodies.read(request, action) as body:
            token = self._store.token(request.path_params["session"])
            expected = tag(token, "request", request.scope["path"], _nonce(request), body)
            if not tag_matches(request.headers.get(TAG_HEADER), expected):
                raise RequestError(HTTPStatus.FORBIDDEN, TAG_MISMATCH)
            await self._store.spend_nonce(request.path_params["session"], _nonce(request))
            yield body

    async def _tagged(self, request: Request, work: Awaitable[tuple[bytes, float]]) -> Response:
        token = self._store.token(request.path_params["session"])
        body, seconds = await work
        headers = {
            TAG_HEADER: tag(token, "answer", request.scope["path"], _nonce(request), body),
            SECONDS_HEADER: f"{seconds:.6f}",
        }
        return Response(body, headers=headers, media_type="application/octet-stream")


def _nonce(request: Request) -> str:
    return request.headers.get(NONCE_HEADER, "")[:64]


def _stated_length(request: Request, limit: int) -> int:
    # That the length is a number, and the body no longer, has been seen to by h11.
    length = int(request.headers.get("Content-Length", "0"))
    if length > limit or "Transfer-Encoding" in request.headers:
        sentence = f"The body may have {limit} bytes at most, and the request must state how many it has."
        raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)
    return length


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return _error(error.status, str(error))


async def _not_found(request: Request, error: Exception) -> Response:
    if request.method not in METHODS:
        return _error(HTTPStatus.NOT_IMPLEMENTED, UNKNOWN_REQUEST)
    return _error(HTTPStatus.NOT_FOUND, NOTHING_HERE)


async def _failed(request: Request, error: Exception) -> Response:
    return _error(HTTPStatus.INTERNAL_SERVER_ERROR, FAILED)


def _error(status: HTTPStatus, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status)
