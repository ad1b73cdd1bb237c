"""The server: a process of its own that answers without seeing. It has no secret key and takes none.

python -m core.encryption.server [--port 0] [--with-parent]

An HTTP service on loopback (Starlette and uvicorn). The model is the server's and the data the client's: the app gives
heads as plain weights by a request of their own, named by their SHA-256, so that nobody can put another in a head's
place. All else that comes in is bytes: public contexts and ciphertexts. This process checks sizes, sessions and tags,
and passes bodies on to workers, processes that open them and compute (TenSEAL holds the interpreter lock meanwhile).
"""

import argparse
import asyncio
import contextlib
import os
import socket
import sys
import threading

import uvicorn

from core.encryption.application import create_application
from core.encryption.connection import MAX_CONNECTIONS, BoundedConnection
from core.encryption.session_store import SessionStore


async def serve(listener: socket.socket, store: SessionStore) -> None:
    """Answer requests until the process is told to end."""
    try:
        await store.start()
    except (EOFError, OSError) as error:  # TimeoutError is an OSError
        raise SystemExit("The server's workers can't be started; check that TenSEAL is installed.") from error
    idle = asyncio.create_task(store.close_idle_regularly())
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    try:
        await uvicorn.Server(_configuration(store)).serve([listener])
    finally:
        idle.cancel()
        # A task of its own: uvicorn passes Ctrl-C on, and that cancels whatever this one still waits for.
        await _to_the_end(asyncio.create_task(store.stop()))


async def _to_the_end(task: asyncio.Task[None]) -> None:
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)


def _configuration(store: SessionStore) -> uvicorn.Config:
    return uvicorn.Config(
        create_application(store),
        http=BoundedConnection,
        ws="none",
        loop="asyncio",
        lifespan="off",
        backlog=MAX_CONNECTIONS,
        headers=[("Connection", "close")],
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
        # Who asks what is nobody's business.
        log_config=None,
        log_level="critical",
        access_log=False,
    )


def _end_with_parent() -> None:
    # The parent holds the other end of standard input: it closes when the parent ends, however it ends.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(0)


def main() -> None:
    """Serve until stopped; the first line on standard output is the address."""
    parser = argparse.ArgumentParser(prog="python -m core.encryption.server", description="Answer without seeing.")
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    arguments = parser.parse_args()
    try:
        listener = socket.create_server(("127.0.0.1", arguments.port), backlog=MAX_CONNECTIONS)
    except (OSError, OverflowError):
        parser.error(f"port {arguments.port} can't be used; choose another, or 0 for any that is free.")
    if arguments.with_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    with listener, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(listener, SessionStore()))


if __name__ == "__main__":
    main()
