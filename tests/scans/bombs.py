"""Small files that ask for much: memory, time, or both."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pydicom
from pydicom import uid
from pydicom.dataset import Dataset

from tests.scans.builders import dataset, dicom, picture, ramp, saved

MEBIBYTE = 2**20
DEFLATED = uid.DeflatedExplicitVRLittleEndian


def deflated(plain_start: bytes, mebibytes: int) -> bytes:
    """Return a raw deflate stream of `plain_start` and so many mebibytes of zeros; it takes a thousandth of them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = packer.compress(plain_start) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(MEBIBYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * mebibytes + packer.flush()


def deflated_dicom(mebibytes: int, preamble: bool = True, version_bytes: int = 2) -> bytes:
    """Return a deflated DICOM image that inflates to so many mebibytes.

    `version_bytes`: length of (0002,0001) File Meta Information Version, which stands before the Transfer Syntax.
    """
    plain = dicom(ramp())
    meta_end = _meta_end(plain)
    body = plain[meta_end:-4] + b"\0\0\0\0"
    version = struct.pack("<HH2sHI", 2, 1, b"OB", 0, version_bytes) + bytes(version_bytes)
    name = DEFLATED.encode() + b"\0" * (len(DEFLATED) % 2)
    meta = version + struct.pack("<HH2sH", 2, 0x10, b"UI", len(name)) + name
    group = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta))
    head = bytes(128) + b"DICM" if preamble else b""
    return head + group + meta + deflated(body, mebibytes)


def _meta_end(data: bytes) -> int:
    (length,) = struct.unpack_from("<I", data, 140)
    return 144 + length


def rle_dicom(side: int, mebibytes: int) -> bytes:
    """Return an RLE image of `side` squared pixels whose one segment unpacks to so many mebibytes."""
    segment = b"\x81\x00" * (mebibytes * MEBIBYTE // 128)
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + segment
    ds = dataset(ramp(4, 4, np.uint8, 1))
    ds.Rows = ds.Columns = side
    return _encapsulated(ds, frame, uid.RLELossless)


def jpeg2000_dicom(side: int, tile: int = 1) -> bytes:
    """Return a JPEG 2000 image of `side` squared pixels, in tiles of `tile` squared, of which none is there."""
    size = struct.pack(">HIIIIIIIIH", 0, side, side, 0, 0, tile, tile, 0, 0, 1) + b"\x07\x01\x01"
    siz = b"\xff\x51" + struct.pack(">H", len(size) + 2) + size
    cod = b"\xff\x52" + struct.pack(">HBBHBBBBBB", 12, 0, 0, 1, 0, 0, 4, 4, 0, 1)
    qcd = b"\xff\x5c" + struct.pack(">HBB", 4, 0x40, 0x48)
    sot = b"\xff\x90" + struct.pack(">HHIBB", 10, 0, 0, 0, 1) + b"\xff\x93"
    ds = dataset(ramp(4, 4, np.uint8, 1))
    ds.Rows = ds.Columns = side
    return _encapsulated(ds, b"\xff\x4f" + siz + cod + qcd + sot + bytes(64) + b"\xff\xd9", uid.JPEG2000)


def jpeg_ls_dicom(side: int) -> bytes:
    """Return a JPEG-LS image that claims `side` squared pixels and holds sixteen."""
    source = pydicom.dcmread(pydicom.data.get_testdata_file("MR_small_jpeg_ls_lossless.dcm", download=False))
    frame = bytearray(next(pydicom.encaps.generate_frames(source.PixelData, number_of_frames=1)))
    place = frame.index(b"\xff\xf7")
    struct.pack_into(">HH", frame, place + 5, side, side)
    source.Rows = source.Columns = side
    return _encapsulated(source, bytes(frame), uid.JPEGLSLossless)


def _encapsulated(ds: Dataset, frame: bytes, syntax: uid.UID) -> bytes:
    ds.PixelData = pydicom.encaps.encapsulate([frame + b"\0" * (len(frame) % 2)])
    ds["PixelData"].is_undefined_length = True
    ds["PixelData"].VR = "OB"
    ds.file_meta.TransferSyntaxUID = syntax
    return saved(ds)


def tiff_of_pages(pages: int, circle: bool = False) -> bytes:
    """Return a TIFF of so many pages of one pixel each; in a circle, the last is followed by the first."""
    out = bytearray(b"II*\0" + struct.pack("<I", 8))
    for page in range(pages):
        pixel = len(out) + 2 + 12 * 9 + 4
        following = pixel + 2 if page < pages - 1 else 8 if circle else 0
        shorts = {258: 8, 259: 1, 262: 1, 277: 1}
        tags = {256: 1, 257: 1, 273: pixel, 278: 1, 279: 1} | shorts
        out += struct.pack("<H", len(tags))
        for tag, value in sorted(tags.items()):
            out += struct.pack("<HHII", tag, 3 if tag in shorts else 4, 1, value)
        out += struct.pack("<I", following) + b"\x80\0"
    return bytes(out)


def png_with_text(mebibytes: int) -> bytes:
    """Return a PNG whose compressed text unpacks to so many mebibytes."""
    plain = picture(ramp(4, 4, np.uint8, 1))
    text = b"Comment\0\0" + zlib.compress(bytes(mebibytes * MEBIBYTE), 9)
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    end = plain.index(b"IDAT") - 4
    return plain[:end] + chunk + plain[end:]
