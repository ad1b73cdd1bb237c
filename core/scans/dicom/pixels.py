"""Data set → stored pixel values, after every check that can be made before decoding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_color_lut, get_decoder
from pydicom.uid import UID

from core.scans import limits
from core.scans.dicom import gdcm_plugin, openjpeg_plugin
from core.scans.dicom.codestream import Header, j2k_header, jpeg_header
from core.scans.dicom.luts import read_lut
from core.scans.dicom.packbits import check_rle
from core.scans.dicom.reading import PIXEL_KEYWORDS, transfer_syntax
from core.scans.scan import ScanError
from core.scans.text import one_line
from core.scans.windowing import look_up

_JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
_JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)

# One decoder a family, the one that bears damaged input best.
_PLUGINS = {
    uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGExtended12Bit: "pillow",
    uid.JPEGLossless: gdcm_plugin.LABEL,
    uid.JPEGLosslessSV1: gdcm_plugin.LABEL,
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.RLELossless: "pydicom",
    **{syntax: openjpeg_plugin.LABEL for syntax in openjpeg_plugin.SYNTAXES},
}
for _plugin in (openjpeg_plugin, gdcm_plugin):
    for _decoder in map(get_decoder, _plugin.SYNTAXES):
        if _plugin.LABEL not in _decoder.available_plugins:  # pydicom refuses a second offer
            _decoder.add_plugin(_plugin.LABEL, (_plugin.__name__, "decode_frame"))

_NATIVE = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)


def stored_pixels(ds: Dataset, name: str) -> np.ndarray:
    """Return the stored values of all frames.

    Parameters
    ----------
    ds : pydicom.dataset.Dataset
        As returned by `read_dicom`.
    name : str
        File name for the messages.

    Returns
    -------
    numpy.ndarray
        (F, H, W) stored values for grey, in their own type; (F, H, W, 3) uint8 or uint16 over the full range of the
        type for RGB, YBR (converted, PS3.3 C.7.6.3.1.2) and PALETTE COLOR (C.7.6.3.1.5).

    Raises
    ------
    ScanError
        Where the pixels are too many, cut short, damaged, or compressed in a way without a free decoder.
    """
    shape = _announced_shape(ds, name)
    syntax = transfer_syntax(ds)
    _check_syntax(ds, syntax, name)
    if syntax in _NATIVE:
        _check_length(ds, shape, name)
    else:
        _check_codestreams(ds, syntax, shape, name)
    pixels = _decoded(ds, syntax, name).reshape(shape if shape[3] > 1 else shape[:3])
    if ds.get("PhotometricInterpretation") == "PALETTE COLOR":
        return _palette(pixels, ds, name)
    return _full_range(pixels, int(ds.BitsStored)) if pixels.ndim == 4 else pixels


def _number(ds: Dataset, keyword: str, name: str, default: int | None = None) -> int:
    value = ds.get(keyword)
    if value in (None, ""):
        if default is not None:
            return default
        raise ScanError(f"'{name}' lacks the DICOM attribute {keyword}, which its pixels need: export it again.")
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise ScanError(f"'{name}' has a damaged DICOM attribute {keyword}: export or download it again.") from error


def _announced_shape(ds: Dataset, name: str) -> tuple[int, int, int, int]:
    rows, columns = _number(ds, "Rows", name), _number(ds, "Columns", name)
    frames, samples = _number(ds, "NumberOfFrames", name, 1), _number(ds, "SamplesPerPixel", name, 1)
    if min(rows, columns, frames) < 1 or samples not in (1, 3):
        raise ScanError(
            f"'{name}' announces {frames} frames of {rows} × {columns} pixels with {samples} values each, which is no"
            " image: export or download it again."
        )
    check_size(name, frames, rows, columns, samples)
    return frames, rows, columns, samples


def check_size(name: str, frames: int, rows: int, columns: int, samples: int = 1) -> None:
    """Raise ScanError where a scan of this shape is beyond the limits."""
    if rows * columns > limits.MAX_FRAME_PIXELS:
        most = limits.MAX_FRAME_PIXELS // 1_000_000
        raise ScanError(
            f"'{name}' has frames of {rows} × {columns} pixels, more than {most} megapixels: make it smaller first."
        )
    if frames > limits.MAX_FRAMES or frames * rows * columns * samples > limits.MAX_VALUES:
        raise ScanError(
            f"'{name}' holds {frames} frames of {rows} × {columns} pixels, more than can be opened at once: split it."
        )
    # Pictures are padded to a square later, so a long strip costs as much as the square of its longer side.
    if max(rows, columns) ** 2 > 4 * limits.MAX_FRAME_PIXELS:
        raise ScanError(f"'{name}' has frames of {rows} × {columns} pixels, which is too long a strip: crop it first.")


def _check_syntax(ds: Dataset, syntax: UID, name: str) -> None:
    extended_12_bit = syntax == uid.JPEGExtended12Bit and _number(ds, "BitsStored", name) > 8
    if (syntax in _NATIVE or syntax in _PLUGINS) and not extended_12_bit:
        return
    what = one_line(syntax.name, 90)
    if extended_12_bit:
        what += ", 12-bit"
    raise ScanError(f"'{name}' is compressed as {what}, which no free decoder reads: export it again uncompressed.")


def _check_length(ds: Dataset, shape: tuple[int, int, int, int], name: str) -> None:
    keyword = next(keyword for keyword in PIXEL_KEYWORDS if keyword in ds)
    bits = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}.get(keyword) or _number(ds, "BitsAllocated", name)
    values = int(np.prod(shape))
    if ds.get("PhotometricInterpretation") == "YBR_FULL_422":
        values = values * 2 // 3
    needed, present = (values * bits + 7) // 8, len(ds[keyword].value or b"")
    if present < needed:
        raise ScanError(
            f"'{name}' is cut short: its pixels need {needed} bytes and {present} are there, so download it again."
        )


def _frames(ds: Dataset, count: int) -> Iterator[bytes]:
    return generate_frames(ds.PixelData, number_of_frames=count)


def _check_codestreams(ds: Dataset, syntax: UID, shape: tuple[int, int, int, int], name: str) -> None:
    """Refuse frames that are missing, or whose own header contradicts the tags."""
    count = 0
    try:
        for frame in _frames(ds, shape[0]):
            count += 1
            _check_frame(frame, syntax, shape, name)
            if count == shape[0]:
                break
    except ScanError:
        raise
    except Exception as error:
        raise ScanError(f"'{name}' has damaged pixel data: export or download it again.") from error
    if count < shape[0]:
        raise ScanError(f"'{name}' is cut short: {shape[0]} frames are announced and {count} are there.")


def _check_frame(frame: bytes, syntax: UID, shape: tuple[int, int, int, int], name: str) -> None:
    _, rows, columns, samples = shape
    if syntax == uid.RLELossless:
        check_rle(frame, rows * columns, name)
        return
    header = jpeg_header(frame) if syntax in _JPEG + _JPEG_LS else j2k_header(frame)
    if header is None:
        raise ScanError(f"'{name}' has pixels that are not {one_line(syntax.name, 90)} as it says: export it again.")
    _check_header(header, syntax, shape, name)


def _check_header(header: Header, syntax: UID, shape: tuple[int, int, int, int], name: str) -> None:
    _, rows, columns, samples = shape
    if syntax == uid.JPEGExtended12Bit and header.precision > 8:
        raise ScanError(
            f"'{name}' is compressed as {syntax.name}, 12-bit, which no free decoder reads: export it uncompressed."
        )
    if (header.rows, header.columns, header.components) != (rows, columns, samples) or header.precision > 32:
        raise ScanError(
            f"'{name}' announces {rows} × {columns} pixels but its compressed picture has {header.rows} ×"
            f" {header.columns}: export or download it again."
        )


def _decoded(ds: Dataset, syntax: UID, name: str) -> np.ndarray:
    if "PlanarConfiguration" not in ds and _number(ds, "SamplesPerPixel", name, 1) > 1:
        ds.PlanarConfiguration = 0
    if "PixelRepresentation" not in ds and "PixelData" in ds:
        ds.PixelRepresentation = 0
    if "SamplesPerPixel" not in ds:
        ds.SamplesPerPixel = 1
    if not ds.get("PhotometricInterpretation"):
        ds.PhotometricInterpretation = "MONOCHROME2" if ds.SamplesPerPixel == 1 else "RGB"
    try:
        pixels, _ = get_decoder(syntax).as_array(
            ds,
            decoding_plugin=_PLUGINS.get(syntax, ""),
            allow_excess_frames=False,  # type: ignore[arg-type]  # pydicom writes all options where it takes each
        )
    except MemoryError:
        raise
    except Exception as error:
        raise ScanError(
            f"'{name}' has pixels that cannot be decoded ({one_line(syntax.name, 60)}), so it is damaged or its tags"
            " are wrong: export or download it again."
        ) from error
    return pixels


def _palette(pixels: np.ndarray, ds: Dataset, name: str) -> np.ndarray:
    """Look colours up (PS3.3 C.7.6.3.1.5); pydicom expands segmented palettes (C.7.9.2)."""
    if "RedPaletteColorLookupTableData" in ds:
        luts = [read_lut(ds, ds, name, f"{colour}PaletteColorLookupTable") for colour in ("Red", "Green", "Blue")]
        bits = 8 if max(int(lut.entries.max()) for lut in luts) < 256 and luts[0].bits <= 8 else 16
        return _full_range(np.stack([look_up(pixels, lut) for lut in luts], axis=-1), bits)
    try:
        colour = apply_color_lut(pixels, ds)[..., :3]
    except Exception as error:
        raise ScanError(f"'{name}' has a damaged colour palette: export it again as RGB.") from error
    return _full_range(colour, 8 * colour.dtype.itemsize)


def _full_range(colour: np.ndarray, bits: int) -> np.ndarray:
    """Bring colour of `bits` bits to the full range of uint8 or uint16."""
    if bits <= 8:
        return _scaled(colour, bits, 8).astype(np.uint8)
    return _scaled(colour, bits, 16).astype(np.uint16)


def _scaled(colour: np.ndarray, bits: int, wanted: int) -> np.ndarray:
    if bits == wanted:
        return colour
    top = 2.0**bits - 1.0
    return np.rint(np.clip(colour.astype(np.float64), 0.0, top) * ((2.0**wanted - 1.0) / top))
