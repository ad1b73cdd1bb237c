"""What a file is, told from its first bytes. The extension is never trusted."""

from __future__ import annotations

import struct

# Content that can be opened.
DICOM, NIFTI, GZIP, ZIP = "DICOM", "NIfTI", "gzip", "ZIP"
PNG, JPEG, TIFF, BMP, WEBP, GIF = "PNG", "JPEG", "TIFF", "BMP", "WebP", "GIF"
RASTERS = (PNG, JPEG, TIFF, BMP, WEBP, GIF)

HEAD_BYTES = 4096
"""Enough to tell what a file is."""

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
    (b"II+\x00", TIFF),
    (b"MM\x00+", TIFF),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"\x1f\x8b", GZIP),
)

# Content that is refused, each with the words for it and the way out.
_REFUSED = (
    (b"%PDF", "a PDF document", "export the scan itself as DICOM, NIfTI or PNG"),
    (b"{\\rtf", "a text document", "export the scan itself as DICOM, NIfTI or PNG"),
    (b"\xd0\xcf\x11\xe0", "an office document", "export the picture in it as PNG"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture outside DICOM", "convert it to PNG"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture outside DICOM", "convert it to PNG"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture", "convert it to PNG"),
    (b"\xff\x0a", "a JPEG XL picture", "convert it to PNG"),
    (b"8BPS", "a Photoshop document", "export it as PNG"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "pack the files as ZIP"),
    (b"Rar!", "a RAR archive", "pack the files as ZIP"),
    (b"\xfd7zXZ", "an xz archive", "pack the files as ZIP"),
    (b"BZh", "a bzip2 archive", "pack the files as ZIP"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "pack the files as ZIP"),
    (b"\x1f\x8b", "a gzipped file without a scan in it", "unpack it and upload what is inside"),
    (b"\x89HDF", "an HDF5 file", "convert the volume to NIfTI"),
    (b"CDF", "a NetCDF or MINC file", "convert the volume to NIfTI"),
    (b"NRRD", "an NRRD volume", "convert it to NIfTI"),
    (b"ObjectType", "a MetaImage volume", "convert it to NIfTI"),
    (b"\x93NUMPY", "a NumPy array", "save it as NIfTI or PNG"),
    (b"MZ", "a program", "upload a scan"),
    (b"\x7fELF", "a program", "upload a scan"),
    (b"\x1aE\xdf\xa3", "a video", "upload one picture of it as PNG"),
    (b"OggS", "a sound or video file", "upload a scan"),
    (b"ID3", "a sound file", "upload a scan"),
)


def sniff(data: bytes) -> str | None:
    """Return the kind of content in `data`, or None where it is nothing that can be opened.

    Parameters
    ----------
    data : bytes
        The whole file, or at least its first kilobyte.
    """
    if data[128:132] == b"DICM":
        return DICOM
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    if data[:2] == b"BM" and _is_bmp(data):
        return BMP
    if is_nifti(data):
        return NIFTI
    if _is_bare_dicom(data):
        return DICOM
    return None


def is_nifti(data: bytes) -> bool:
    """Tell whether `data` starts with an Analyze, NIfTI-1 or NIfTI-2 header, of either byte order."""
    if len(data) < 8:
        return False
    little, big = struct.unpack("<i", data[:4])[0], struct.unpack(">i", data[:4])[0]
    if 540 in (little, big):
        return data[4:7] in (b"n+2", b"ni2")
    return 348 in (little, big)


def _is_bmp(data: bytes) -> bool:
    # 'BM' alone also starts many a text: ask for a known size of the second header as well.
    return len(data) >= 18 and struct.unpack("<I", data[14:18])[0] in (12, 16, 40, 52, 56, 64, 108, 124)


def _is_bare_dicom(data: bytes) -> bool:
    """Tell whether `data` starts like a data set without the preamble of PS3.10 7.1: in group 0002 or 0008."""
    if len(data) < 16:
        return False
    for order in "<>":
        group, element = struct.unpack(order + "HH", data[:4])
        if group in (2, 8) and element <= 0x0100:
            explicit = data[4:6].isalpha() and data[4:6].isupper()
            length = struct.unpack(order + "I", data[4:8])[0]
            return explicit or length <= 256
    return False


def refusal(data: bytes) -> tuple[str, str]:
    """Say what unreadable content is, and what to do about it.

    Returns
    -------
    tuple of str
        What the content is, with its article, and the way out, in the imperative.
    """
    for magic, what, advice in _REFUSED:
        if data.startswith(magic):
            return what, advice
    if data[4:8] == b"ftyp":
        return _brand(data[8:12])
    if data[257:262] == b"ustar":
        return "a tar archive", "pack the files as ZIP"
    return _text(data) or ("in no format known here", "upload DICOM, NIfTI, PNG, JPEG, TIFF, BMP or WebP")


def _brand(brand: bytes) -> tuple[str, str]:
    if brand in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return "an HEIC photograph", "convert it to PNG"
    if brand in (b"avif", b"avis"):
        return "an AVIF picture", "convert it to PNG"
    return "a video", "upload one picture of it as PNG"


def _text(data: bytes) -> tuple[str, str] | None:
    head = data[:HEAD_BYTES]
    if any(byte < 9 or 13 < byte < 27 for byte in head):
        return None
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:256].lower()
    advice = "upload the scan itself"
    if start.startswith((b"<!doctype html", b"<html")) or b"<html" in start:
        return "a web page (HTML)", advice
    if b"<svg" in start:
        return "an SVG drawing", "export it as PNG"
    if start.startswith(b"<?xml"):
        return "an XML file", advice
    if start.startswith((b"{", b"[")):
        return "a JSON file", advice
    return "a text file", advice
