"""What a source may ask of the machine, checked before anything is decoded.

A few hundred bytes can claim a picture of many gigabytes, so every reader compares what a file announces with these
numbers first. They are far above any clinical scan and far below what would stop a small server.
"""

from core.scans.scan import ScanError

MEBIBYTE = 2**20

MAX_UPLOAD_BYTES = 500 * MEBIBYTE
"""Size of one file, or of several that are brought together."""

MAX_FRAME_PIXELS = 32_000_000
"""Rows times columns of one frame; the largest mammograms have 28 million pixels."""

MAX_SCAN_BYTES = 540 * MEBIBYTE
"""What the pixels of one scan may take, in the type that holds them."""

MAX_VALUES = MAX_SCAN_BYTES
"""Frames times rows times columns times channels: what is larger is too large at a byte each."""

MAX_FRAMES = 20_000
"""Frames of one scan."""

MAX_PAGES = 5_000
"""Pages of a TIFF."""

MAX_FILES = 5_000
"""Entries of an archive, or files of a folder."""

MAX_ARCHIVE_BYTES = 600 * MEBIBYTE
"""Total size of an archive once unpacked."""

MAX_RATIO = 250
"""Unpacked over packed size of an archive entry; an image compresses 2 to 50 times, a bomb a thousand times."""

RATIO_FREE_BYTES = 4 * MEBIBYTE
"""Entries that unpack to less than this are harmless at any ratio (a black frame compresses very well)."""

MAX_INFLATED_BYTES = 600 * MEBIBYTE
"""Size of a deflated DICOM file once inflated, or of the first volume of a gzipped NIfTI file."""

MAX_MEMORY_BYTES = 900 * MEBIBYTE
"""What opening a file may take beside the file itself: its pixels, and what it takes to decode them."""

MAX_SECONDS = 20.0
"""How long opening a file may take."""

LEAST_COMPUTING_SECONDS = 3
"""How long opening the smallest file may keep a core busy; each two mebibytes add a second."""

TOO_MUCH_MEMORY = "'{}' needs more memory than a scan may take: make it smaller or split it."


def check_upload(size: int, name: str) -> None:
    """Raise ScanError where a file of `size` bytes is larger than may be opened."""
    if size > MAX_UPLOAD_BYTES:
        most = MAX_UPLOAD_BYTES // MEBIBYTE
        raise ScanError(f"'{name}' is larger than {most} MB: upload fewer slices or a smaller file.")
