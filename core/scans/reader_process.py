"""Files of strangers → scans: a process that forks one of its own for each file.

python -m core.scans.reader_process

Decoders written in C crash, hang and ask for gigabytes; here they end a process that holds nothing else. Standard input
is a socket. The order `open N` brings one end of another with it, over which the file comes in and the scan goes out,
both as memory that is handed over; `kill N` ends what was opened under that number.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from core.scans import limits, wire
from core.scans.decoding import decode_source, list_source, outline_source, sort_source
from core.scans.memory.shared import SharedMemory
from core.scans.outlines.outline import Outline, Target
from core.scans.scan import Scan, ScanError, Series


def serve(orders: socket.socket) -> None:
    """Fork a process for each file until the other end of `orders` is closed."""
    running: dict[str, int] = {}
    while True:
        message, descriptors, _, _ = socket.recv_fds(orders, wire.ORDER_BYTES, 1)
        _forget_ended(running)
        verb, _, number = message.decode("ascii").strip().partition(" ")
        if not verb:
            return
        if verb == "kill" and number in running:
            os.kill(running[number], signal.SIGKILL)
        if verb != "open":
            continue
        with socket.socket(fileno=descriptors[0]) as connection:
            process = os.fork()
            if process == 0:
                orders.close()
                _answer(connection)
            running[number] = process


def _forget_ended(running: dict[str, int]) -> None:
    for number, process in list(running.items()):
        if os.waitpid(process, os.WNOHANG)[0]:
            del running[number]


def _answer(connection: socket.socket) -> None:
    """Answer one request and end the process, whatever happens."""
    try:
        try:
            answer = _opened(connection)
        except ScanError as error:
            wire.send_facts(connection, {"refused": str(error)})
        else:
            if isinstance(answer, Scan):
                wire.send_scan(connection, answer)
            elif isinstance(answer, dict):
                wire.send_facts(connection, answer)
            elif isinstance(answer[0], Outline):
                wire.send_outlines(connection, answer)
            else:
                wire.send_facts(connection, wire.series_facts(answer))
    except BaseException:
        # Nobody reads a traceback here; the other end takes silence for an answer.
        pass
    os._exit(0)


def _opened(connection: socket.socket) -> Scan | tuple[Series, ...] | tuple[Outline, ...] | dict[str, Any]:
    request = wire.receive_facts(connection)
    source = Path(request["path"]) if request["path"] else SharedMemory.receive(connection, request["size"]).view
    _limit(request["memory"], request["seconds"], _computing_seconds(source))
    if request.get("target"):
        placement = wire.received_placement(request["target"]["placement"])
        return outline_source(source, request["name"], Target.from_facts(request["target"], placement))
    if request.get("sort") and isinstance(source, memoryview):
        return {"files": sort_source(source, request["name"])}
    if request["list"]:
        return list_source(source, request["name"], request["thumbnails"])
    return decode_source(source, request["name"], request["series"], request["volume"])


def _computing_seconds(source: memoryview | Path) -> int:
    """Return how long a file of this size may keep a core busy: a small one isn't worth the time of a study."""
    if isinstance(source, Path):
        if not source.is_file():
            return int(limits.MAX_SECONDS)
        size = source.stat().st_size
    else:
        size = len(source)
    return limits.LEAST_COMPUTING_SECONDS + size // (2 * limits.MEBIBYTE)


def _limit(memory: int, seconds: float, computing_seconds: int) -> None:
    """Bound what this process may take from now on, in bytes beyond what it has, and in seconds."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process in the middle of a decoder, too
    signal.setitimer(signal.ITIMER_REAL, seconds)
    has = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + memory, has + memory))
    resource.setrlimit(resource.RLIMIT_CPU, (computing_seconds, computing_seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Serve on standard input; decoders print to nowhere."""
    orders = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in the terminal is for whom it belongs to
    serve(orders)


if __name__ == "__main__":
    main()
