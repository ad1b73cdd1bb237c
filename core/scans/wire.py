"""A scan over a socket, as JSON and raw pixels: what a process sends that may have been taken over isn't unpickled."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

import numpy as np

from core.scans import limits
from core.scans.scan import Scan
from core.scans.windowing import Lut, Window

ORDER_BYTES = 32
"""Length of an order to the reader process."""

_LENGTH = struct.Struct("<Q")
_MAX_FACTS = 64 * limits.MEBIBYTE
_PLAIN = ("name", "kind", "modality", "inverted", "spacing", "tags", "notes", "derived", "sha256", "exact")


def send_facts(connection: socket.socket, facts: dict[str, Any]) -> None:
    """Send what JSON can say."""
    text = json.dumps(facts).encode("ascii")
    connection.sendall(_LENGTH.pack(len(text)) + text)


def receive_facts(connection: socket.socket) -> dict[str, Any]:
    """Return what `send_facts` sent; raise EOFError where the other end has closed, ValueError where it is too long."""
    (length,) = _LENGTH.unpack(receive_bytes(connection, _LENGTH.size))
    if length > _MAX_FACTS:
        raise ValueError("More facts than a scan has.")
    return json.loads(receive_bytes(connection, length))


def receive_bytes(connection: socket.socket, size: int) -> bytes:
    """Return `size` bytes; raise EOFError where the other end closes before."""
    parts = []
    while size:
        # All at once where that is possible: joining parts takes twice the memory.
        part = connection.recv(size, socket.MSG_WAITALL)
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _fill(connection: socket.socket, space: memoryview) -> None:
    while len(space):
        count = connection.recv_into(space)
        if not count:
            raise EOFError
        space = space[count:]


def send_scan(connection: socket.socket, scan: Scan) -> None:
    """Send a scan, its pixels frame by frame."""
    facts = {field: getattr(scan, field) for field in _PLAIN}
    lut = scan.voi_lut
    send_facts(
        connection,
        facts
        | {
            "shape": scan.values.shape,
            "type": scan.values.dtype.str,
            "windows": [_window_facts(window) for window in scan.windows],
            "frame_windows": scan.frame_windows and [_window_facts(window) for window in scan.frame_windows],
            "voi_lut": lut and [lut.first, lut.bits, lut.entries.dtype.str, lut.entries.tolist()],
        },
    )
    for frame in scan.values:
        connection.sendall(np.ascontiguousarray(frame).reshape(-1).view(np.uint8).data)


def receive_scan(connection: socket.socket, facts: dict[str, Any]) -> Scan:
    """Return the scan of which `facts` were received; raise EOFError or ValueError where it isn't whole."""
    kind = np.dtype(facts["type"])
    size = int(np.prod(facts["shape"], dtype=object))
    if kind.kind not in "uif" or len(facts["shape"]) not in (3, 4) or not 0 < size <= limits.MAX_VALUES:
        raise ValueError("No pixels of a scan.")
    values = np.empty(facts["shape"], kind)
    _fill(connection, values.reshape(-1).view(np.uint8).data)
    lut, frame_windows, spacing = facts["voi_lut"], facts["frame_windows"], facts["spacing"]
    plain = {field: facts[field] for field in _PLAIN}
    return Scan(
        **plain
        | {
            "values": values,
            "spacing": spacing and tuple(spacing),
            "notes": tuple(facts["notes"]),
            "windows": tuple(Window(*window) for window in facts["windows"]),
            "frame_windows": frame_windows and tuple(Window(*window) for window in frame_windows),
            "voi_lut": lut and Lut(lut[0], np.array(lut[3], lut[2]), lut[1]),
        }
    )


def _window_facts(window: Window) -> list[Any]:
    return [float(window.center), float(window.width), window.name, window.function]
