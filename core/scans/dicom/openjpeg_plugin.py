"""OpenJPEG for pydicom's decoders, without the pylibjpeg package between them.

pydicom reaches the `openjpeg` module through `pylibjpeg` only; the module alone decodes JPEG 2000 and HTJ2K. The names
and signatures below are those that pydicom asks of a decoding plugin.
"""

from __future__ import annotations

from typing import cast

import openjpeg
from pydicom import uid
from pydicom.pixels.common import PhotometricInterpretation
from pydicom.pixels.decoders.base import DecodeRunner

LABEL = "purescan_openjpeg"
SYNTAXES = (uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
DECODER_DEPENDENCIES = {syntax: ("pylibjpeg-openjpeg>=2.0",) for syntax in SYNTAXES}


def is_available(uid: str) -> bool:
    """Tell whether this plugin decodes the transfer syntax `uid`."""
    return uid in SYNTAXES


def decode_frame(src: bytes, runner: DecodeRunner) -> bytearray:
    """Return the pixels of one JPEG 2000 or HTJ2K frame, colour by pixel, in the container that their precision needs.

    Parameters
    ----------
    src : bytes
        The codestream of the frame.
    runner : DecodeRunner
        Told what the codestream holds where that differs from the tags.
    """
    frame = cast(bytearray, openjpeg.decode_pixel_data(src, version=2))  # version 1 gives an array
    # The multiple component transform is undone while decoding (PS3.5 8.2.4).
    if runner.photometric_interpretation in (PhotometricInterpretation.YBR_ICT, PhotometricInterpretation.YBR_RCT):
        runner.set_option("photometric_interpretation", PhotometricInterpretation.RGB)
    precision = runner.get_option("j2k_precision", runner.bits_stored)
    runner.set_option("bits_allocated", 8 if precision <= 8 else 16 if precision <= 16 else 32)
    return frame
