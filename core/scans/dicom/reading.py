"""DICOM bytes → data set, within bounds, or a sentence that says why not."""

from __future__ import annotations

import logging
import math
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO

from pydicom import uid
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import parse_basic_offsets
from pydicom.filereader import read_dataset, read_partial, read_preamble
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import UID

from core.scans import limits
from core.scans.dicom.attributes import DAMAGED
from core.scans.dicom.syntax import MOST_HEAD, PixelStart, encoding_of, is_encapsulated
from core.scans.memory.content import Content
from core.scans.scan import ScanError
from core.scans.text import one_line

# pydicom repeats values of the file in its warnings, names and numbers of patients among them: they must reach no log.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module=r"pydicom\b")

PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_HELD_BYTES = 2**16
"""What is larger is read when it is asked for: the pixels of many files would be there all at once."""

_DICOMDIR = UID("1.2.840.10008.1.3.10")
_UNDEFINED = 0xFFFFFFFF
_PIECE = 2**20


def read_dicom(content: Content, name: str, image: bool = True) -> Dataset:
    """Return the data set of an image, or of what need not be one; its pixels are read with `pixels_at_hand`.

    Parameters
    ----------
    content : Content
        A DICOM file, with or without preamble and File Meta Information (PS3.10 7.1).
    name : str
        File name for the messages.
    image : bool
        Whether it must be one.

    Returns
    -------
    pydicom.dataset.Dataset
        With pixel data where it is an image, and with ``file_meta.TransferSyntaxUID`` set.

    Raises
    ------
    ScanError
        Where the file is no image, is damaged, or inflates beyond `limits.MAX_INFLATED_BYTES`.
    """
    content = _inflated(content, name)
    try:
        ds = read_partial(content.stream, _is_padding, defer_size=_HELD_BYTES, force=True)
        if image:
            _refuse_no_image(ds, name)
        _ensure_transfer_syntax(ds, name)
    except ScanError:
        raise
    except Exception as error:
        raise ScanError(f"'{name}' is a damaged DICOM file: export or download it again.") from error
    return ds


def _is_padding(tag: BaseTag, vr: str | None, length: int) -> bool:
    """Whether a file goes on with zeros alone: pydicom would take each eight of them for an element."""
    return tag == 0 and length == 0


def _inflated(content: Content, name: str) -> Content:
    """Undo the deflation of PS3.5 A.5 within bounds; pydicom would inflate a bomb to its end.

    The File Meta Information is read as pydicom reads it: with or without preamble, and however long it is.
    """
    stream = content.stream
    try:
        read_preamble(stream, force=True)
        meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
    except MemoryError:
        raise
    except Exception:
        return content  # pydicom says so, too
    try:
        if meta.get("TransferSyntaxUID") != uid.DeflatedExplicitVRLittleEndian:
            return content
        header = FileMetaDataset(meta)
        header.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        plain = Content(partial(_inflated_whole, content, stream.tell(), header, name))
        return plain if plain.head else content
    except (ScanError, MemoryError):
        raise
    except Exception as error:
        raise ScanError(f"'{name}' is a damaged deflated DICOM file: export or download it again.") from error


def _inflated_whole(content: Content, start: int, header: FileMetaDataset, name: str) -> memoryview:
    whole = BytesIO()
    whole.write(bytes(128) + b"DICM")
    write_file_meta_info(whole, header, enforce_standard=False)  # type: ignore[arg-type]  # it takes any stream
    _inflate(content.view[start:], whole, name)
    content.let_go()
    return whole.getbuffer()


def _inflate(packed: memoryview, whole: BytesIO, name: str) -> None:
    inflater, left = zlib.decompressobj(-zlib.MAX_WBITS), limits.MAX_INFLATED_BYTES
    for start in range(0, len(packed), _PIECE):
        piece = packed[start : start + _PIECE]
        while len(piece) and not inflater.eof:
            plain = inflater.decompress(piece, min(_PIECE, left + 1))
            whole.write(plain)
            piece, left = memoryview(inflater.unconsumed_tail), left - len(plain)
            if left < 0:
                size = limits.MAX_INFLATED_BYTES // limits.MEBIBYTE
                raise ScanError(f"'{name}' inflates to more than {size} MB: export it uncompressed.")
    whole.write(inflater.flush())


def unread(ds: Dataset, keyword: str) -> RawDataElement | None:
    """An element that is so long that it is read when it is asked for; None for one that is at hand."""
    element = ds.get_item(keyword, keep_deferred=True) if keyword in ds else None
    return element if isinstance(element, RawDataElement) and element.value is None and element.length else None


@contextmanager
def pixels_at_hand(ds: Dataset) -> Iterator[None]:
    """While entered, the pixels of a data set may be read; what was read of them is let go afterwards."""
    held = [unread(ds, keyword) for keyword in PIXEL_KEYWORDS if keyword in ds]
    try:
        yield
    finally:
        for element in held:
            if element is not None:
                ds[element.tag] = element
        let_go(ds)


def let_go(ds: Dataset) -> None:
    """Free the content of the file that a data set was read from, until it is read again."""
    content = getattr(getattr(ds, "buffer", None), "content", None)
    if content is not None:
        content.let_go()


def pixel_start(ds: Dataset, keyword: str = "PixelData") -> PixelStart | None:
    """How pixel data begin, and how long they are, told without reading them all; None where there are none."""
    element = unread(ds, keyword)
    if element is not None:
        held = ds.buffer.content.view[element.value_tell :]
        held = held if element.length == _UNDEFINED else held[: element.length]
        return PixelStart(bytes(held[:MOST_HEAD]), len(held))
    value = ds[keyword].value if keyword in ds else None
    return PixelStart(value[:MOST_HEAD], len(value)) if isinstance(value, bytes) else None


def read_in_place(ds: Dataset, keyword: str) -> None:
    """Have a decoder read pixel data frame by frame where they are in the file, as far as they are of known length."""
    element = unread(ds, keyword)
    if element is not None and element.length != _UNDEFINED:
        content = ds.buffer.content
        start = element.value_tell
        part = Content(lambda: content.view[start : start + element.length])
        kinds = {"PixelData": ("OW", "OB"), "FloatPixelData": ("OF",), "DoubleFloatPixelData": ("OD",)}[keyword]
        ds[element.tag] = DataElement(element.tag, element.VR if element.VR in kinds else kinds[0], part.stream)


def _refuse_no_image(ds: Dataset, name: str) -> None:
    if any(keyword in ds for keyword in PIXEL_KEYWORDS):
        return
    meta = getattr(ds, "file_meta", Dataset())
    sop_class = ds.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID")
    if sop_class == _DICOMDIR or "DirectoryRecordSequence" in ds:
        raise ScanError(
            f"'{name}' is a DICOMDIR, an index that holds no image: upload the images, or the whole folder as ZIP."
        )
    if sop_class and UID(sop_class).is_valid:
        what = one_line(UID(sop_class).name, 80)
        if "Image Storage" in what:
            raise ScanError(
                f"'{name}' is a DICOM object ({what}) whose pixels are missing or cut off: export or download it again."
            )
        raise ScanError(f"'{name}' is a DICOM object without an image ({what}): upload the image it belongs to.")
    if "Rows" in ds or len(ds) > 3:
        raise ScanError(f"'{name}' is a DICOM file without pixels, perhaps cut short: export or download it again.")
    raise ScanError(f"'{name}' cannot be read as DICOM: export or download it again.")


def stated_frames(ds: Dataset) -> int | None:
    """Number of Frames (0028,0008); None where it isn't stated, 0 where it is damaged."""
    try:
        stated = ds.get("NumberOfFrames")
        return None if stated in (None, "") else int(stated)
    except DAMAGED:
        return 0


def frame_count(ds: Dataset) -> int:
    """Number of Frames (0028,0008), 1 where it isn't stated; where it can't be, as many as the pixel data hold."""
    stated = stated_frames(ds)
    if stated is None or stated >= 1:
        return stated or 1
    start = pixel_start(ds) or PixelStart(b"", 0)
    if is_encapsulated(start.head):
        return max(1, len(parse_basic_offsets(ds.PixelData)))
    bits = (ds.get(keyword) for keyword in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated"))
    size = math.prod(int(number or 1) for number in bits) // 8
    return max(1, start.size // max(1, size))


def transfer_syntax(ds: Dataset) -> UID:
    """Return the transfer syntax that `read_dicom` ensured."""
    return UID(ds.file_meta.TransferSyntaxUID)


def _ensure_transfer_syntax(ds: Dataset, name: str) -> None:
    meta = getattr(ds, "file_meta", None)
    if meta is None:
        meta = ds.file_meta = FileMetaDataset()
    if meta.get("TransferSyntaxUID"):
        return
    if "PixelData" in ds and getattr(ds.get_item("PixelData", keep_deferred=True), "length", 0) == _UNDEFINED:
        syntax = encoding_of(ds, pixel_start(ds), None, 0)
        if syntax is None:
            raise ScanError(
                f"'{name}' does not say how its pixels are compressed (no Transfer Syntax): export it uncompressed."
            )
        meta.TransferSyntaxUID = syntax
        return
    implicit, little = ds.original_encoding
    if implicit:
        meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    else:
        meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
