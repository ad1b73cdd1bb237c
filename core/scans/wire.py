"""A scan over a socket, as JSON and shared memory: what a process sends that may be taken over isn't unpickled."""

from __future__ import annotations

import json
import socket
import struct
from dataclasses import asdict
from typing import Any

import numpy as np

from core.scans import limits
from core.scans.dicom.acquisition import SEQUENCES
from core.scans.geometry import AXES, PLANES, Placement
from core.scans.memory.scaled import is_line, lines_of, on_lines, stored_of
from core.scans.memory.shared import SharedMemory, memory_of
from core.scans.memory.volume import shared_array
from core.scans.outlines.outline import Outline
from core.scans.scan import Scan, Series
from core.scans.windowing import Lut, Window

ORDER_BYTES = 32
"""Length of an order to the reader process."""

_LENGTH = struct.Struct("<Q")
_MAX_FACTS = 64 * limits.MEBIBYTE
_PLAIN = (
    "name", "kind", "modality", "inverted", "spacing", "tags", "derived", "sha256", "exact", "series",
    "volume", "volume_count", "series_index", "series_count", "measured",
)  # fmt: skip
_TEXTS = ("notes", "left_out")
_NAMED: dict[str, tuple[str, ...]] = {"plane": PLANES, "axes": AXES, "sequence": SEQUENCES}


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


def send_scan(connection: socket.socket, scan: Scan) -> None:
    """Send a scan; its pixels are handed over and not copied."""
    facts = {field: getattr(scan, field) for field in (*_PLAIN, *_NAMED, *_TEXTS)}
    lut, stored = scan.voi_lut, stored_of(scan.values)
    send_facts(
        connection,
        facts
        | {
            "shape": stored.shape,
            "type": stored.dtype.str,
            "lines": lines_of(scan.values),
            "windows": [_window_facts(window) for window in scan.windows],
            "frame_windows": scan.frame_windows and [_window_facts(window) for window in scan.frame_windows],
            "placement": scan.placement and asdict(scan.placement),
            "voi_lut": lut and [lut.first, lut.bits, lut.entries.dtype.str, lut.entries.tolist()],
        },
    )
    (memory_of(stored) or memory_of(_shared(stored, scan.name))).send(connection)  # type: ignore[union-attr]


def _shared(stored: np.ndarray, name: str) -> np.ndarray:
    shared = shared_array(stored.shape, stored.dtype, name)
    for place, frame in enumerate(stored):
        shared[place] = frame
    return shared


def receive_scan(connection: socket.socket, facts: dict[str, Any]) -> Scan:
    """Return the scan of which `facts` were received; raise EOFError or ValueError where it isn't whole."""
    kind = np.dtype(facts["type"])
    count = int(np.prod(facts["shape"], dtype=object))
    size = count * kind.itemsize
    if kind.kind not in "uif" or len(facts["shape"]) not in (3, 4) or not 0 < size <= limits.MAX_SCAN_BYTES:
        raise ValueError("No pixels of a scan.")
    lines = [(float(slope), float(intercept)) for slope, intercept in facts["lines"]]
    if lines and not (kind.kind != "f" and len(facts["shape"]) == 3 and len(lines) == facts["shape"][0]):
        raise ValueError("No lines of its frames.")
    if not all(is_line(*line) for line in lines):
        raise ValueError("Lines on which values are too large.")
    stored = np.frombuffer(SharedMemory.receive(connection, size), kind, count).reshape(facts["shape"])
    lut, frame_windows = facts["voi_lut"], facts["frame_windows"]
    plain = {field: facts[field] for field in _PLAIN}
    return Scan(
        **plain
        | _known(facts)
        | {
            "values": on_lines(stored, lines),
            "spacing": _spacing(facts),
            "placement": received_placement(facts["placement"]),
            "notes": tuple(facts["notes"]),
            "left_out": tuple(facts["left_out"]),
            "windows": tuple(Window(*window) for window in facts["windows"]),
            "frame_windows": frame_windows and tuple(Window(*window) for window in frame_windows),
            "voi_lut": lut and Lut(lut[0], np.array(lut[3], lut[2]), lut[1]),
        }
    )


def received_placement(facts: dict[str, Any] | None) -> Placement | None:
    """Return the placement of which `facts` were received; raise TypeError, KeyError or ValueError if they are none."""
    if facts is None:
        return None
    corners = np.asarray(facts["corners"], np.float64).reshape(-1, 3)
    down, across = (np.asarray(facts[name], np.float64).reshape(3) for name in ("down", "across"))
    reference = facts["reference"]
    if reference is not None and not isinstance(reference, str):
        raise TypeError("No frame of reference.")
    points = [tuple(map(float, point)) for point in (*corners, down, across)]
    return Placement(tuple(points[:-2]), points[-2], points[-1], reference)  # type: ignore[arg-type]


def send_outlines(connection: socket.socket, outlines: tuple[Outline, ...]) -> None:
    """Send outlines, a bit a pixel."""
    send_facts(connection, {"outlines": [[outline.number, list(outline.bits)] for outline in outlines]})
    for outline in outlines:
        for bits in outline.bits.values():
            connection.sendall(np.ascontiguousarray(bits).data)


def receive_outlines(connection: socket.socket, facts: dict[str, Any], shape: tuple[int, ...]) -> tuple[Outline, ...]:
    """Return the outlines of which `facts` were received, on a scan of shape (F, H, W); raise ValueError where they fit
    no such scan, EOFError where they aren't whole."""
    frames, pixels = shape[0], int(np.prod(shape[1:]))
    size = -(-pixels // 8)
    if sum(len(slices) for _, slices in facts["outlines"]) * size > limits.MAX_VALUES:
        raise ValueError("More outlines than a scan has room for.")
    found = []
    for number, slices in facts["outlines"]:
        if not all(type(own) is int and 0 <= own < frames for own in slices):
            raise ValueError("No slice of the scan.")
        bits = {own: np.frombuffer(receive_bytes(connection, size), np.uint8) for own in slices}
        found.append(Outline(int(number), (shape[1], shape[2]), bits))
    return tuple(found)


def series_facts(found: tuple[Series, ...]) -> dict[str, Any]:
    """What `received_series` makes series of again."""
    return {"series": [asdict(series) | {"thumbnail": _picture_facts(series.thumbnail)} for series in found]}


def received_series(facts: dict[str, Any]) -> tuple[Series, ...]:
    """Return the series of which `facts` were received; raise TypeError or KeyError where they are none."""
    return tuple(
        Series(
            **series
            | _known(series)
            | {"spacing": _spacing(series), "notes": tuple(series["notes"]), "thumbnail": _picture(series["thumbnail"])}
        )
        for series in facts["series"]
    )


def _picture_facts(picture: np.ndarray | None) -> dict[str, Any] | None:
    return None if picture is None else {"shape": picture.shape, "pixels": picture.tobytes().hex()}


def _picture(facts: dict[str, Any] | None) -> np.ndarray | None:
    if facts is None:
        return None
    return np.frombuffer(bytes.fromhex(facts["pixels"]), np.uint8).reshape(facts["shape"])


def _known(facts: dict[str, Any]) -> dict[str, str | None]:
    return {field: facts[field] if facts[field] in known else None for field, known in _NAMED.items() if field in facts}


def _spacing(facts: dict[str, Any]) -> tuple[float, float, float] | None:
    return tuple(facts["spacing"]) if facts["spacing"] else None


def _window_facts(window: Window) -> list[Any]:
    return [float(window.center), float(window.width), window.name, window.function]
