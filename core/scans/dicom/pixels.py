"""Data set → stored pixel values, after every check that can be made before decoding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_color_lut
from pydicom.uid import UID

from core.scans import limits
from core.scans.dicom.attributes import DAMAGED, damaged
from core.scans.dicom.codestream import Header, check_rle, j2k_header, jpeg_header
from core.scans.dicom.decoders import Take, decode, is_readable
from core.scans.dicom.luts import read_lut
from core.scans.dicom.reading import (
    PIXEL_KEYWORDS,
    frame_count,
    pixel_start,
    pixels_at_hand,
    read_in_place,
    transfer_syntax,
)
from core.scans.dicom.syntax import JPEG_2000, NATIVE, encoding_of, without_wrong_offsets
from core.scans.memory.volume import Volume
from core.scans.scan import ScanError
from core.scans.text import one_line
from core.scans.windowing import look_up


def read_stored(ds: Dataset, name: str, notes: list[str], take: Take) -> None:
    """Read the stored values, frame by frame: no more of them than one frame is held here.

    Parameters
    ----------
    ds : pydicom.dataset.Dataset
        As returned by `read_dicom`, its pixels at hand; attributes that it lacks are set where its pixels tell them.
    name : str
        File name for the messages.
    notes : list of str
        What was taken otherwise than the file states it is added.
    take : callable
        Is given the number of each frame, from 0, and its values; again from 0 where another decoder is asked. Grey:
        (H, W) in its own type. RGB, YBR (converted, PS3.3 C.7.6.3.1.2) and PALETTE COLOR (C.7.6.3.1.5): (H, W, 3)
        uint8 or uint16 over the full range of the type.

    Raises
    ------
    ScanError
        Where the pixels are too many, cut short, damaged, or compressed in a way without a free decoder.
    """
    shape = announced_shape(ds, name)
    syntax = _encoding(ds, shape, name, notes)
    header = None
    if syntax in NATIVE:
        _check_length(ds, shape, name, notes)
        read_in_place(ds, _keyword(ds))
    else:
        header = _check_codestreams(ds, syntax, shape, name)
    _complete(ds, shape, header, name, notes)
    palette = _Palette(ds, name) if ds.get("PhotometricInterpretation") == "PALETTE COLOR" else None

    def take_stored(number: int, pixels: np.ndarray) -> None:
        pixels = pixels.reshape(shape[1:] if shape[3] > 1 else shape[1:3])
        if palette is not None:
            pixels = palette.colours(pixels)
        elif pixels.ndim == 3:
            pixels = _full_range(pixels, int(ds.BitsStored))
        take(number, pixels)

    _decode(ds, syntax, header, name, take_stored)


def stored_pixels(ds: Dataset, name: str, notes: list[str]) -> np.ndarray:
    """Return the stored values of all frames, (F, H, W) or (F, H, W, 3); `read_stored` says the rest."""
    with pixels_at_hand(ds):
        volume = Volume(announced_shape(ds, name)[0], name)
        read_stored(ds, name, notes, volume.put)
        return volume.take()


def _number(ds: Dataset, keyword: str, name: str, default: int | None = None) -> int:
    try:
        value = ds.get(keyword)
        if value not in (None, ""):
            return int(value)
    except DAMAGED as error:
        raise damaged(keyword, name) from error
    if default is None:
        raise ScanError(f"'{name}' lacks the DICOM attribute {keyword}, which its pixels need: export it again.")
    return default


def announced_shape(ds: Dataset, name: str) -> tuple[int, int, int, int]:
    """Frames, rows, columns and values a pixel, as stated; ScanError where they can't be, or are too many."""
    rows, columns = _number(ds, "Rows", name), _number(ds, "Columns", name)
    samples = _number(ds, "SamplesPerPixel", name, 1)
    _number(ds, "NumberOfFrames", name, 1)  # a damaged one is named
    frames = frame_count(ds)
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


def _encoding(ds: Dataset, shape: tuple[int, int, int, int], name: str, notes: list[str]) -> UID:
    """The transfer syntax that the pixel data follow, whatever the file states; ScanError where nothing decodes it."""
    stated = transfer_syntax(ds)
    found = encoding_of(ds, pixel_start(ds), stated, _native_size(ds, shape, name)) or stated
    if not is_readable(found):
        what = one_line(found.name, 90)
        raise ScanError(f"'{name}' is compressed as {what}, which no free decoder reads: export it again uncompressed.")
    if found != stated:
        notes.append(f"The pixels are {one_line(found.name, 60)}, whatever the file says (Transfer Syntax).")
    return found


def _keyword(ds: Dataset) -> str:
    return next(keyword for keyword in PIXEL_KEYWORDS if keyword in ds)


def _native_size(ds: Dataset, shape: tuple[int, int, int, int], name: str) -> int:
    """Bytes that the pixels take uncompressed, two values a pixel where colour is subsampled (PS3.3 C.7.6.3.1.2)."""
    bits = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}.get(_keyword(ds)) or _number(ds, "BitsAllocated", name)
    values = int(np.prod(shape))
    if ds.get("PhotometricInterpretation") == "YBR_FULL_422":
        values = values * 2 // 3
    return (values * bits + 7) // 8


def _check_length(ds: Dataset, shape: tuple[int, int, int, int], name: str, notes: list[str]) -> None:
    start = pixel_start(ds, _keyword(ds))
    needed, present = _native_size(ds, shape, name), start.size if start else 0
    if present < needed:
        raise ScanError(
            f"'{name}' is cut short: its pixels need {needed} bytes and {present} are there, so download it again."
        )
    if ds.get("PhotometricInterpretation") == "YBR_FULL_422" and present >= needed * 3 // 2:
        ds.PhotometricInterpretation = "YBR_FULL"
        notes.append("The pixels are YBR_FULL, whatever the file says (Photometric Interpretation).")


def _frames(ds: Dataset, count: int) -> Iterator[bytes]:
    return generate_frames(ds.PixelData, number_of_frames=count)


def _check_codestreams(ds: Dataset, syntax: UID, shape: tuple[int, int, int, int], name: str) -> Header | None:
    """Return the first frame's header; refuse frames that are missing, or whose own header contradicts the tags."""
    headers = []
    try:
        without_wrong_offsets(ds, shape[0])
        for frame in _frames(ds, shape[0]):
            headers.append(_checked_header(frame, syntax, shape, name))
            if len(headers) == shape[0]:
                break
    except ScanError:
        raise
    except Exception as error:
        raise ScanError(f"'{name}' has damaged pixel data: export or download it again.") from error
    if len(headers) < shape[0]:
        raise ScanError(f"'{name}' is cut short: {shape[0]} frames are announced and {len(headers)} are there.")
    return headers[0]


def _checked_header(frame: bytes, syntax: UID, shape: tuple[int, int, int, int], name: str) -> Header | None:
    _, rows, columns, samples = shape
    if syntax == uid.RLELossless:
        check_rle(frame, rows * columns, name)
        return None
    header = j2k_header(frame) if syntax in JPEG_2000 else jpeg_header(frame)
    if header is None:
        raise ScanError(f"'{name}' has pixels that are not {one_line(syntax.name, 90)} as it says: export it again.")
    if (header.rows, header.columns, header.components) != (rows, columns, samples) or header.precision > 32:
        raise ScanError(
            f"'{name}' announces {rows} × {columns} pixels but its compressed picture has {header.rows} ×"
            f" {header.columns}: export or download it again."
        )
    return header


def _complete(
    ds: Dataset, shape: tuple[int, int, int, int], header: Header | None, name: str, notes: list[str]
) -> None:
    """Set what the data set lacks, and what can't be: pydicom's decoders ask for all of it."""
    frames, _, _, samples = shape
    ds.SamplesPerPixel = samples
    if ds.get("NumberOfFrames") not in (None, "", frames):
        notes.append("The file states no possible Number of Frames, so they were counted.")
    if "NumberOfFrames" in ds:
        ds.NumberOfFrames = frames
    if "PlanarConfiguration" not in ds and samples > 1:
        ds.PlanarConfiguration = 0
    if "PixelRepresentation" not in ds and "PixelData" in ds:
        ds.PixelRepresentation = 0
    if not ds.get("PhotometricInterpretation"):
        ds.PhotometricInterpretation = "MONOCHROME2" if samples == 1 else "RGB"
    allocated = _number(ds, "BitsAllocated", name, 0)
    if "PixelData" in ds and not 1 <= _number(ds, "BitsStored", name, 0) <= allocated:
        ds.BitsStored = min(header.precision, allocated) if header else allocated
        notes.append(f"The file states no possible Bits Stored, so {ds.BitsStored} bits are taken for it.")


def _decode(ds: Dataset, syntax: UID, header: Header | None, name: str, take: Take) -> None:
    try:
        decode(ds, syntax, header.precision if header else 0, take)
    except (MemoryError, ScanError):
        raise
    except Exception as error:
        raise ScanError(
            f"'{name}' has pixels that cannot be decoded ({one_line(syntax.name, 60)}), so it is damaged or its tags"
            " are wrong: export or download it again."
        ) from error


class _Palette:
    """Looks colours up (PS3.3 C.7.6.3.1.5); pydicom expands segmented palettes (C.7.9.2)."""

    def __init__(self, ds: Dataset, name: str) -> None:
        self._ds, self._name = ds, name
        colours = ("Red", "Green", "Blue") if "RedPaletteColorLookupTableData" in ds else ()
        self._luts = [read_lut(ds, ds, name, f"{colour}PaletteColorLookupTable") for colour in colours]

    def colours(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W) → (H, W, 3); ScanError where the palette is damaged."""
        if self._luts:
            small = max(int(lut.entries.max()) for lut in self._luts) < 256 and self._luts[0].bits <= 8
            return _full_range(np.stack([look_up(pixels, lut) for lut in self._luts], axis=-1), 8 if small else 16)
        try:
            colour = apply_color_lut(pixels, self._ds)[..., :3]
        except Exception as error:
            raise ScanError(f"'{self._name}' has a damaged colour palette: export it again as RGB.") from error
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
