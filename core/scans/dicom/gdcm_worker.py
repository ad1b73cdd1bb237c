"""Lossless JPEG → pixels with GDCM, in a process of its own.

GDCM ends its process on some damaged frames (an uncaught C++ exception), which must not end the server. `gdcm_plugin`
starts this file as a script; it imports nothing of Purescan, so that it is ready in a moment.

A request is eight 32-bit numbers (length, rows, columns, samples, bits allocated, bits stored, signed, planar), the
photometric interpretation and the transfer syntax in 32 bytes each, and the frame. The answer is a length and the
pixels; length 0 stands for a frame that cannot be decoded.
"""

import struct
import sys

REQUEST = struct.Struct("<8I32s32s")
ANSWER = struct.Struct("<I")
MAX_MEMORY = 4 * 2**30


def decode(numbers: tuple[int, ...], photometric: str, syntax: str, frame: bytes) -> bytes:
    """Return the pixels of one frame, or no bytes where GDCM refuses it."""
    import gdcm

    rows, columns, samples, allocated, stored, signed, planar = numbers
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    interpretation = gdcm.PhotometricInterpretation.GetPIType(photometric)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(interpretation))
    if samples > 1:
        image.SetPlanarConfiguration(planar)
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    image.SetPixelFormat(gdcm.PixelFormat(samples, allocated, stored, stored - 1, signed))
    # GDCM returns bytes dressed up as text.
    return image.GetBuffer().encode("utf-8", "surrogateescape")


def _limit_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        # Not every system has limits; the sizes in the frame have been checked before.
        pass


def serve() -> None:
    """Answer requests until the input ends."""
    _limit_memory()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        length, *numbers, photometric, syntax = REQUEST.unpack(head)
        frame = requests.read(length)
        try:
            pixels = decode(tuple(numbers), _text(photometric), _text(syntax), frame)
        except Exception:
            pixels = b""
        answers.write(ANSWER.pack(len(pixels)) + pixels)
        answers.flush()


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode("ascii")


if __name__ == "__main__":
    serve()
