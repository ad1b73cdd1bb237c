"""Which decoder reads which encoding, and which is asked next where that one gives up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from core.scans.dicom import gdcm_plugin, openjpeg_plugin
from core.scans.dicom.codestream import END, has_end, is_open, without_end
from core.scans.dicom.reading import frame_count
from core.scans.dicom.syntax import DCT, JPEG_2000, JPEG_LS, LOSSLESS, NATIVE
from core.scans.scan import ScanError

# The one that bears damaged input best comes first.
_PLUGINS: dict[UID, tuple[str, ...]] = {
    uid.JPEGBaseline8Bit: ("pillow", gdcm_plugin.LABEL),
    uid.JPEGExtended12Bit: (gdcm_plugin.LABEL,),
    **{syntax: (gdcm_plugin.LABEL,) for syntax in LOSSLESS},
    **{syntax: ("pyjpegls", gdcm_plugin.LABEL) for syntax in JPEG_LS},
    **{syntax: (openjpeg_plugin.LABEL, gdcm_plugin.LABEL) for syntax in JPEG_2000},
    uid.RLELossless: ("pydicom", gdcm_plugin.LABEL),
    **{syntax: ("",) for syntax in NATIVE},
}
_MARKED = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, *LOSSLESS, *JPEG_LS, *JPEG_2000)
_STUFFING = b"\x55" * 64

for _plugin in (openjpeg_plugin, gdcm_plugin):
    for _decoder in map(get_decoder, _plugin.SYNTAXES):
        if _plugin.LABEL not in _decoder.available_plugins:  # pydicom refuses a second offer
            _decoder.add_plugin(_plugin.LABEL, (_plugin.__name__, "decode_frame"))


def is_readable(syntax: UID) -> bool:
    """Whether there is a decoder."""
    return syntax in DCT or syntax in _PLUGINS


Take = Callable[[int, np.ndarray], None]
"""Takes the number of a frame, from 0, and its values; again from 0 where another decoder is asked."""


def decode(ds: Dataset, syntax: UID, precision: int, take: Take) -> None:
    """Decode all frames one by one, those too that lack nothing but their end marker.

    Parameters
    ----------
    ds : pydicom.dataset.Dataset
        With pixel data that were checked, and everything that describes them.
    syntax : pydicom.uid.UID
        What the data follow.
    precision : int
        Bits a value that the first codestream states; 0 where there is none.
    take : callable
        Is given each frame, (H, W) or (H, W, C), as pydicom's decoders give it.

    Raises
    ------
    Exception
        Whatever the first decoder raised, where none succeeds; MemoryError and ScanError come through.
    """
    if syntax in DCT:
        # One family for pydicom and for both decoders, which go by the codestream's own markers.
        syntax = uid.JPEGExtended12Bit if precision > 8 else uid.JPEGBaseline8Bit
    plugins = [plugin for plugin in _PLUGINS[syntax] if not plugin or plugin in get_decoder(syntax).available_plugins]
    attempts: list[Callable[[Dataset, UID, Take], None]] = [partial(_with, plugin) for plugin in plugins]
    if plugins and syntax in _MARKED:
        # GDCM takes forever over some JPEG-LS without an end.
        attempts.insert(1, partial(_with_ends, plugins[0]))
    first_error: Exception | None = None
    for attempt in attempts:
        try:
            return attempt(ds, syntax, take)
        except (MemoryError, ScanError):
            raise
        except Exception as error:
            first_error = first_error or error
    raise first_error or NotImplementedError(syntax)


def _with_ends(plugin: str, ds: Dataset, syntax: UID, take: Take) -> None:
    """Decode with the end markers that frames lack; ValueError where none does, or one lacks pixels too."""
    given, count = ds.PixelData, frame_count(ds)
    frames = list(generate_frames(given, number_of_frames=count))
    if all(map(has_end, frames)):
        raise ValueError("No frame lacks its end marker.")
    try:
        ds.NumberOfFrames = 1
        whole = [frame if has_end(frame) else _ended(frame, plugin, ds, syntax) for frame in frames]
        ds.NumberOfFrames, ds.PixelData = count, encapsulate(whole)
        _with(plugin, ds, syntax, take)
    finally:
        ds.NumberOfFrames, ds.PixelData = count, given


def _ended(frame: bytes, plugin: str, ds: Dataset, syntax: UID) -> bytes:
    """The frame with an end marker; ValueError where pixels are missing."""
    # Most decoders make missing pixels up from what they find in their place; those of JPEG-LS refuse to, and JPEG 2000
    # says mostly how long it is.
    told = syntax in JPEG_LS or (syntax in JPEG_2000 and not is_open(frame))
    others = () if told else (_STUFFING,)
    for data in without_end(frame):
        found = [_alone(data + between + END, plugin, ds, syntax) for between in (b"", *others)]
        first = found[0]
        if first is not None and all(other is not None and np.array_equal(first, other) for other in found):
            return data + END
    raise ValueError("A frame was cut.")


def _alone(frame: bytes, plugin: str, ds: Dataset, syntax: UID) -> np.ndarray | None:
    ds.PixelData = encapsulate([frame])
    found: list[np.ndarray] = []
    try:
        _with(plugin, ds, syntax, lambda _, pixels: found.append(pixels))
        return found[0]
    except MemoryError:
        raise
    except Exception:
        return None


def _with(plugin: str, ds: Dataset, syntax: UID, take: Take) -> None:
    stated, count = ds.file_meta.TransferSyntaxUID, frame_count(ds)
    # pydicom refuses a data set that states another.
    ds.file_meta.TransferSyntaxUID = syntax
    try:
        frames = get_decoder(syntax).iter_array(
            ds,
            decoding_plugin=plugin,
            allow_excess_frames=False,
        )
        number = -1
        for number, (pixels, _) in enumerate(islice(frames, count)):
            take(number, pixels)
        if number + 1 < count:
            raise ValueError("There are fewer frames than announced.")
    finally:
        ds.file_meta.TransferSyntaxUID = stated
