"""Lossless JPEG for pydicom's decoders, through GDCM: no other free decoder knows it beyond 8 bits.

GDCM ends its process on some damaged frames (an uncaught C++ exception): one more reason why `core.scans.reader` opens
each file in a process of its own.
"""

from __future__ import annotations

from importlib.util import find_spec

from pydicom import uid
from pydicom.pixels.decoders.base import DecodeRunner

LABEL = "purescan_gdcm"
SYNTAXES = (uid.JPEGLossless, uid.JPEGLosslessSV1)
DECODER_DEPENDENCIES = {syntax: ("python-gdcm>=3.0.10",) for syntax in SYNTAXES}


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
        Where GDCM refuses the frame.
    """
    import gdcm

    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(src)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((runner.columns, runner.rows, 1))
    image.SetDataElement(element)
    interpretation = gdcm.PhotometricInterpretation.GetPIType(str(runner.photometric_interpretation))
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(interpretation))
    if runner.samples_per_pixel > 1:
        image.SetPlanarConfiguration(runner.planar_configuration)
    syntax = gdcm.TransferSyntax.GetTSType(str.__str__(runner.transfer_syntax))
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    stored = runner.bits_stored
    image.SetPixelFormat(
        gdcm.PixelFormat(
            runner.samples_per_pixel, runner.bits_allocated, stored, stored - 1, runner.pixel_representation
        )
    )
    # GDCM returns bytes dressed up as text.
    pixels = image.GetBuffer().encode("utf-8", "surrogateescape")
    if not pixels:
        raise RuntimeError("GDCM cannot decode the frame.")
    return pixels
