"""PNG, JPEG, TIFF, BMP, WebP and GIF → Scan.

Grey of 8 bits is shown as it is (value / 255). Grey of 16 bits is shown as it is (value / 65535) where it uses the
range, i.e. where its highest value needs the fifteenth bit or more, or where Purescan wrote it; otherwise it is a 10-
or 12-bit picture in a 16-bit file, and is shown from its lowest to its highest value, with a note. Floating-point
pictures within [0, 1] are shown as they are, others from lowest to highest.
"""

from __future__ import annotations

import warnings

import numpy as np
from PIL import Image, ImageOps

from core.scans import limits
from core.scans.dicom.codestream import Header, jpeg_header
from core.scans.dicom.pixels import check_size
from core.scans.markers import png_kind
from core.scans.memory.content import Content
from core.scans.memory.volume import Volume, collapsed
from core.scans.raster.tiff import WIDE, black_is_zero, check_pages, deep_tiff, finite, reversed_grey
from core.scans.scan import Scan, ScanError
from core.scans.sniffing import JPEG, TIFF
from core.scans.windowing import FULL_RANGE, Window, full_window, identity_window, range_window, robust_window

# Damaged pictures are told in the sentence of a ScanError; what the library prints besides helps nobody.
warnings.filterwarnings("ignore", module=r"PIL\.")

_PILLOW_NAMES = {"WebP": "WEBP"}

RANGE_NOTE = "The picture uses a part of its range only, so it is shown from its lowest to its highest value."


def load_raster(content: Content, name: str, sha256: str) -> Scan:
    """Build a scan from a raster picture.

    Parameters
    ----------
    content : Content
        The file, of one of the kinds in `sniffing.RASTERS`.
    name : str
        Name of the scan.
    sha256 : str
        Digest of the source.

    Returns
    -------
    Scan
        Pages of a TIFF as frames; of an animation, the first frame.

    Raises
    ------
    ScanError
        Where the picture is damaged, too large, or of a kind that cannot be kept.
    """
    notes: list[str] = []
    kind = content.kind or ""
    values, derived, bits = _decoded(content, kind, name, notes)
    if values.ndim == 4 and derived is None:
        values = collapsed(values)
    windows = picture_windows(values, derived, notes) if values.ndim == 3 else ()
    tags = {"Format": kind, "Rows": str(values.shape[1]), "Columns": str(values.shape[2]), "Bits": str(bits)}
    return Scan(
        name=name,
        kind="raster",
        values=values,
        modality=None,
        windows=windows,
        inverted=False,
        spacing=None,
        tags=tags,
        notes=tuple(notes),
        derived=derived,
        sha256=sha256,
        exact=derived is not None and values.dtype == np.uint16,
    )


def _decoded(content: Content, kind: str, name: str, notes: list[str]) -> tuple[np.ndarray, str | None, int]:
    white = None
    try:
        if kind == TIFF:
            check_pages(content.view, name)
            deep = deep_tiff(content.stream, name, notes)
            if deep is not None:
                return deep, None, 8 * deep.dtype.itemsize
            content, white = black_is_zero(content, name)
        values, derived = _with_pillow(content, kind, name, notes)
        if white is not None:
            values = reversed_grey(values.astype(np.int32) if white == "signed" else values)
        return values, derived, 8 * values.dtype.itemsize
    except (ScanError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        most = limits.MAX_FRAME_PIXELS // 1_000_000
        raise ScanError(f"'{name}' has more than {most} megapixels: make it smaller first.") from error
    except Exception as error:
        if kind == JPEG and (header := jpeg_header(bytes(content.view))) and not _is_web_jpeg(header):
            raise ScanError(f"'{name}' is a JPEG picture of a kind for DICOM alone: convert it to PNG.") from error
        raise ScanError(f"'{name}' is a damaged or cut-off {kind} picture: export or download it again.") from error


def _is_web_jpeg(header: Header) -> bool:
    """Whether Pillow reads a JPEG of this frame header: of 8 bits, lossy, Huffman-coded (ITU-T T.81 B.1.1.3)."""
    return header.precision == 8 and header.marker in (0xC0, 0xC1, 0xC2)


def _with_pillow(content: Content, kind: str, name: str, notes: list[str]) -> tuple[np.ndarray, str | None]:
    with Image.open(content.stream, formats=[_PILLOW_NAMES.get(kind, kind)]) as image:
        check_size(name, 1, image.height, image.width, len(image.getbands()))
        if kind != TIFF and getattr(image, "is_animated", False):
            # To count them, Pillow would read them all.
            notes.append("The picture is an animation; its first frame is shown.")
        count = int(getattr(image, "n_frames", 1)) if kind == TIFF else 1
        check_size(name, count, image.height, image.width, len(image.getbands()))
        frames = _pages(image, count, name, notes)
        derived = png_kind(image.info)
    return frames, derived


def _pages(image: Image.Image, count: int, name: str, notes: list[str]) -> np.ndarray:
    pages, taken, first = Volume(count, name), 0, None
    for index in range(count):
        if count > 1:
            image.seek(index)
        check_size(name, count, image.height, image.width, len(image.getbands()))
        page = _array(ImageOps.exif_transpose(image), notes)
        first = first or (page.shape, page.dtype)
        if (page.shape, page.dtype) == first:
            pages.put(taken, page)
            taken += 1
    if taken < count:
        notes.append(f"{count - taken} pages of another size or kind were left out.")
    return pages.take(range(taken))


def _array(image: Image.Image, notes: list[str]) -> np.ndarray:
    """Return (H, W) or (H, W, 3) of one page."""
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    if image.mode in ("LA", "La", "RGBA", "RGBa"):
        return _on_black(image)
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8) * np.uint8(255)
    if image.mode in ("L", "RGB"):
        return np.asarray(image)
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode == "I":
        return _narrow(np.asarray(image))
    if image.mode == "F":
        return finite(np.asarray(image), notes)
    return np.asarray(image.convert("RGB"))


def _narrow(values: np.ndarray) -> np.ndarray:
    """Return whole numbers as uint16 where they fit, as pictures of 16 bits may come in 32."""
    return values.astype(np.uint16) if values.min() >= 0 and values.max() <= 65535 else values


def _on_black(image: Image.Image) -> np.ndarray:
    """Compose a picture with transparency on black, as an image box without a picture is black."""
    whole = np.asarray(image.convert("RGBA")).astype(np.uint16)
    colour = (whole[..., :3] * whole[..., 3:] + 127) // 255
    return colour.astype(np.uint8)


def picture_windows(values: np.ndarray, derived: str | None, notes: list[str]) -> tuple[Window, ...]:
    """Return the windows of a grey picture, the default first; a note says where it uses a part of its range only."""
    full, robust = full_window(values), robust_window(values)
    whole = None
    if values.dtype == np.uint8:
        whole = identity_window(8)
    elif values.dtype == np.uint16 and (derived or values.max() >= WIDE):
        whole = identity_window(16)
    elif values.dtype.kind == "f" and values.min() >= 0 and values.max() <= 1:
        whole = range_window(0.0, 1.0, FULL_RANGE)
    if whole is None:
        notes.append(RANGE_NOTE)
        return full, robust
    return Window(whole.center, whole.width, "Stored range", whole.function), full, robust
