"""Lossless JPEG for pydicom's decoders, through `gdcm_worker` in a process of its own.

No other free decoder knows lossless JPEG of more than 8 bits. The worker is started for the first frame, serves all
that follow, and is started again where a frame ended it.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

from pydicom import uid
from pydicom.pixels.decoders.base import DecodeRunner

from core.scans.dicom import gdcm_worker

LABEL = "purescan_gdcm"
SYNTAXES = (uid.JPEGLossless, uid.JPEGLosslessSV1)
DECODER_DEPENDENCIES = {syntax: ("python-gdcm>=3.0.10",) for syntax in SYNTAXES}
SECONDS = 30.0

_LOCK = threading.Lock()
_worker: subprocess.Popen[bytes] | None = None


def is_available(uid: str) -> bool:
    """Tell whether this plugin decodes the transfer syntax `uid`."""
    return uid in SYNTAXES and find_spec("gdcm") is not None


def decode_frame(src: bytes, runner: DecodeRunner) -> bytes:
    """Return the pixels of one lossless JPEG frame.

    Parameters
    ----------
    src : bytes
        The codestream of the frame.
    runner : DecodeRunner
        The tags that describe it.

    Raises
    ------
    RuntimeError
        Where the frame cannot be decoded, ends the worker, or takes longer than `SECONDS`.
    """
    with _LOCK:
        pixels = _ask(_running(), _request(src, runner))
    if not pixels:
        raise RuntimeError("GDCM cannot decode the frame.")
    return pixels


def _request(src: bytes, runner: DecodeRunner) -> bytes:
    colour = runner.samples_per_pixel > 1
    head = gdcm_worker.REQUEST.pack(
        len(src),
        runner.rows,
        runner.columns,
        runner.samples_per_pixel,
        runner.bits_allocated,
        runner.bits_stored,
        runner.pixel_representation,
        runner.planar_configuration if colour else 0,
        str(runner.photometric_interpretation).encode("ascii"),
        str.__str__(runner.transfer_syntax).encode("ascii"),
    )
    return head + src


def _running() -> subprocess.Popen[bytes]:
    global _worker
    if _worker is None or _worker.poll() is not None:
        _worker = subprocess.Popen(
            [sys.executable, str(Path(gdcm_worker.__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    return _worker


def _ask(worker: subprocess.Popen[bytes], request: bytes) -> bytes:
    """Send one frame and wait for its pixels; a worker that dies or hangs is put away."""
    assert worker.stdin is not None and worker.stdout is not None
    alarm = threading.Timer(SECONDS, worker.kill)
    alarm.start()
    try:
        worker.stdin.write(request)
        worker.stdin.flush()
        head = worker.stdout.read(gdcm_worker.ANSWER.size)
        length = gdcm_worker.ANSWER.unpack(head)[0] if len(head) == gdcm_worker.ANSWER.size else 0
        pixels = worker.stdout.read(length)
    except OSError:
        length, pixels = 0, b""
    finally:
        alarm.cancel()
    if not length or len(pixels) != length:
        _put_away(worker)
        return b""
    return pixels


def _put_away(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        try:
            if pipe is not None:
                pipe.close()
        except OSError:
            pass
