"""DICOM bytes → data set, within bounds, or a sentence that says why not."""

from __future__ import annotations

import logging
import warnings
import zlib
from io import BytesIO

from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset, read_preamble
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from core.scans import limits
from core.scans.dicom.codestream import j2k_header, jpeg_header
from core.scans.scan import ScanError
from core.scans.text import one_line

# pydicom repeats values of the file in its warnings, names and numbers of patients among them: they must reach no log.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module=r"pydicom\b")

PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_DICOMDIR = UID("1.2.840.10008.1.3.10")


def read_dicom(data: bytes, name: str) -> Dataset:
    """Return the data set of an image.

    Parameters
    ----------
    data : bytes
        A DICOM file, with or without preamble and File Meta Information (PS3.10 7.1).
    name : str
        File name for the messages.

    Returns
    -------
    pydicom.dataset.Dataset
        With pixel data, and with ``file_meta.TransferSyntaxUID`` set.

    Raises
    ------
    ScanError
        Where the file is no image, is damaged, or inflates beyond `limits.MAX_INFLATED_BYTES`.
    """
    data = _inflated(data, name)
    try:
        ds = dcmread(BytesIO(data), force=True)
        _refuse_no_image(ds, name)
        _ensure_transfer_syntax(ds, name)
    except ScanError:
        raise
    except Exception as error:
        raise ScanError(f"'{name}' is a damaged DICOM file: export or download it again.") from error
    return ds


def _inflated(data: bytes, name: str) -> bytes:
    """Undo the deflation of PS3.5 A.5 within bounds; pydicom would inflate a bomb to its end.

    The File Meta Information is read as pydicom reads it: with or without preamble, and however long it is.
    """
    if uid.DeflatedExplicitVRLittleEndian.encode() not in data:
        return data
    stream = BytesIO(data)
    try:
        read_preamble(stream, force=True)
        meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
        if meta.get("TransferSyntaxUID") != uid.DeflatedExplicitVRLittleEndian:
            return data
        plain = _inflate(stream.read(), name)
    except (ScanError, MemoryError):
        raise
    except Exception as error:
        raise ScanError(f"'{name}' is a damaged deflated DICOM file: export or download it again.") from error
    header = FileMetaDataset(meta)
    header.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    whole = BytesIO()
    whole.write(bytes(128) + b"DICM")
    write_file_meta_info(whole, header, enforce_standard=False)  # type: ignore[arg-type]  # it takes any stream
    return whole.getvalue() + plain


def _inflate(packed: bytes, name: str) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = inflater.decompress(packed, limits.MAX_INFLATED_BYTES)
    if inflater.unconsumed_tail:
        size = limits.MAX_INFLATED_BYTES // limits.MEBIBYTE
        raise ScanError(f"'{name}' inflates to more than {size} MB: export it uncompressed.")
    return plain


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


def transfer_syntax(ds: Dataset) -> UID:
    """Return the transfer syntax that `read_dicom` ensured."""
    return UID(ds.file_meta.TransferSyntaxUID)


def _ensure_transfer_syntax(ds: Dataset, name: str) -> None:
    meta = getattr(ds, "file_meta", None)
    if meta is None:
        meta = ds.file_meta = FileMetaDataset()
    if meta.get("TransferSyntaxUID"):
        return
    element = ds.get_item("PixelData")
    if element is not None and getattr(ds["PixelData"], "is_undefined_length", False):
        meta.TransferSyntaxUID = _guess_compression(bytes(ds.PixelData), name)
        return
    implicit, little = ds.original_encoding
    if implicit:
        meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    else:
        meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian


def _guess_compression(encapsulated: bytes, name: str) -> UID:
    """Tell the compression from the first codestream; only the families with a start marker can be told."""
    start = encapsulated.find(b"\xff\xd8\xff")
    if 0 <= start < 65536 and jpeg_header(encapsulated[start:]):
        frame = encapsulated[start:]
        for marker, syntax in (
            (b"\xff\xf7", uid.JPEGLSNearLossless),
            (b"\xff\xc3", uid.JPEGLossless),
            (b"\xff\xc0", uid.JPEGBaseline8Bit),
            (b"\xff\xc1", uid.JPEGExtended12Bit),
        ):
            if marker in frame[:4096]:
                return syntax
    if j2k_header(encapsulated):
        return uid.JPEG2000
    raise ScanError(
        f"'{name}' does not say how its pixels are compressed (no Transfer Syntax): export it again uncompressed."
    )
