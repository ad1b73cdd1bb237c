"""Data set → stored pixel values, after every check that can be made before decoding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from pydicom import uid
from pydicom.datadict import dictionary_description, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.common import PhotometricInterpretation
from pydicom.uid import UID

from core.scans import limits
from core.scans.dicom.attributes import DAMAGED, damaged, value_of
from core.scans.dicom.codestream import Header, check_rle, j2k_header, jpeg_header
from core.scans.dicom.decoders import Take, decode, is_readable
from core.scans.dicom.luts import Palette, full_range
from core.scans.dicom.reading import (
    PIXEL_KEYWORDS,
    frame_count,
    pixel_start,
    pixels_at_hand,
    read_in_place,
    stated_frames,
    transfer_syntax,
)
from core.scans.dicom.syntax import JPEG_2000, NATIVE, encoding_of, without_wrong_offsets
from core.scans.memory.volume import Volume
from core.scans.scan import ScanError
from core.scans.text import one_line

# What is taken where the file states none of them comes first.
_GREY = ("MONOCHROME2", "MONOCHROME1", "PALETTE COLOR")
_COLOUR = ("RGB", *(kind.value for kind in PhotometricInterpretation if kind.value not in (*_GREY, "RGB")))


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
    _repair(ds, shape, notes)
    syntax = _encoding(ds, shape, name, notes)
    header = None
    if syntax in NATIVE:
        _check_length(ds, shape, name, notes)
        read_in_place(ds, _keyword(ds))
    else:
        header = _check_codestreams(ds, syntax, shape, name)
    _set_bits(ds, header, name, notes)
    palette = Palette(ds, name) if ds.get("PhotometricInterpretation") == "PALETTE COLOR" else None

    def take_stored(number: int, pixels: np.ndarray) -> None:
        pixels = pixels.reshape(shape[1:] if shape[3] > 1 else shape[1:3])
        if palette is not None:
            pixels = palette.colours(pixels)
        elif pixels.ndim == 3:
            pixels = full_range(pixels, int(ds.BitsStored))
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
    colour = _interpretation(ds).startswith(("RGB", "YBR"))
    samples = _number(ds, "SamplesPerPixel", name, 3 if colour else 1)
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
    bits = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}.get(_keyword(ds)) or _number(ds, "BitsAllocated", name, 0)
    values = int(np.prod(shape))
    if ds.get("PhotometricInterpretation") == "YBR_FULL_422":
        values = values * 2 // 3
    return (values * bits + 7) // 8


def _check_length(ds: Dataset, shape: tuple[int, int, int, int], name: str, notes: list[str]) -> None:
    start = pixel_start(ds, _keyword(ds))
    if "PixelData" in ds and not _is_allocation(_number(ds, "BitsAllocated", name)):
        raise damaged("BitsAllocated", name)
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
    announced, found = (rows, columns, samples), (header.rows, header.columns, header.components)
    if announced != found or header.precision > 32:
        told = 3 if announced[:2] == found[:2] else 2
        stated, there = (" × ".join(map(str, lengths[:told])) for lengths in (announced, found))
        raise ScanError(
            f"'{name}' announces {stated} pixels but its compressed picture has {there}: export or download it again."
        )
    return header


def _repair(ds: Dataset, shape: tuple[int, int, int, int], notes: list[str]) -> None:
    """Set what the data set lacks, or states as it can't be: pydicom's decoders ask for all of it."""
    frames, _, _, samples = shape
    ds.SamplesPerPixel = samples
    stated = stated_frames(ds)
    if stated not in (None, frames):
        notes.append("The file states no possible Number of Frames, so they were counted.")
    if stated is not None:
        ds.add_new("NumberOfFrames", "IS", frames)
    colours = _GREY if samples == 1 else _COLOUR
    _set_possible(ds, "PhotometricInterpretation", _interpretation(ds), colours, notes)
    if samples > 1:
        _set_possible(ds, "PlanarConfiguration", value_of(ds, "PlanarConfiguration"), (0, 1), notes)
    if "PixelData" in ds:
        _set_possible(ds, "PixelRepresentation", value_of(ds, "PixelRepresentation"), (0, 1), notes)


def _set_possible(ds: Dataset, keyword: str, stated: object, possible: Sequence[object], notes: list[str]) -> None:
    """Set an attribute to what is stated where that is possible, else to the first value that is."""
    value = stated if stated in possible else possible[0]
    if value != stated and stated not in (None, ""):
        notes.append(f"The file states no possible {dictionary_description(keyword)}, so {value} is taken for it.")
    ds.add_new(keyword, dictionary_VR(keyword), value)


def _interpretation(ds: Dataset) -> str:
    return str(value_of(ds, "PhotometricInterpretation") or "").strip().upper()


def _set_bits(ds: Dataset, header: Header | None, name: str, notes: list[str]) -> None:
    """Set Bits Allocated and Bits Stored where they can't be; ScanError where nothing tells them."""
    if "PixelData" not in ds:
        return
    allocated = _number(ds, "BitsAllocated", name, 0)
    if not _is_allocation(allocated):
        if header is None:
            raise damaged("BitsAllocated", name)
        ds.BitsAllocated = allocated = 8 if header.precision <= 8 else 16
        notes.append(f"The file states no possible Bits Allocated, so {allocated} bits are taken for it.")
    if not 1 <= _number(ds, "BitsStored", name, 0) <= allocated:
        ds.BitsStored = min(header.precision, allocated) if header else allocated
        notes.append(f"The file states no possible Bits Stored, so {ds.BitsStored} bits are taken for it.")


def _is_allocation(bits: int) -> bool:
    """Whether so many bits can be those of a value (PS3.5 8.1.1)."""
    return bits == 1 or (bits % 8 == 0 and 8 <= bits <= 64)


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
