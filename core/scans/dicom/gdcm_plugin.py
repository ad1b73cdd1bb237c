"""GDCM for pydicom's decoders.

No other free decoder knows lossless JPEG, or lossy JPEG of 12 bits; for the rest it is asked where another gave up.
GDCM ends its process on some damaged frames (an uncaught C++ exception): one more reason why `core.scans.reader` opens
each file in a process of its own.
"""

from __future__ import annotations

from importlib.util import find_spec

from pydicom import uid
from pydicom.pixels.decoders.base import DecodeRunner

from core.scans.dicom.codestream import jpeg_header

LABEL = "purescan_gdcm"
SYNTAXES = (
    uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless,
    uid.JPEGLSNearLossless, uid.JPEG2000Lossless, uid.JPEG2000, uid.RLELossless,
)  # fmt: skip
DECODER_DEPENDENCIES = {syntax: ("python-gdcm>=3.0.10",) for syntax in SYNTAXES}


def is_available(uid: str) -> bool:
    """Tell whether this plugin decodes the transfer syntax `uid`."""
    return uid in SYNTAXES and find_spec("gdcm") is not None


def decode_frame(src: bytes, runner: DecodeRunner) -> bytes:
    """Return the pixels of one frame.

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
    stored = _precision(src, runner)
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


def _precision(src: bytes, runner: DecodeRunner) -> int:
    """Return the bits of a value; those of the codestream decide how it comes out."""
    syntax, stored = runner.transfer_syntax, runner.bits_stored
    if syntax in uid.JPEG2000TransferSyntaxes and runner.photometric_interpretation in ("YBR_ICT", "YBR_RCT"):
        # The multiple component transform is undone while decoding (PS3.5 8.2.4).
        runner.set_option("photometric_interpretation", "RGB")
    family = "jls" if syntax in uid.JPEGLSTransferSyntaxes else "j2k" if syntax in uid.JPEG2000TransferSyntaxes else ""
    if not family:
        # GDCM ends its process where a JPEG of 8 bits is said to store fewer.
        header = jpeg_header(src)
        return header.precision if header else stored
    precision = runner.get_option(f"{family}_precision", stored)
    runner.set_option("planar_configuration", 0)
    runner.set_option("bits_allocated", 8 if precision <= 8 else 16 if precision <= 16 else 32)
    return precision
