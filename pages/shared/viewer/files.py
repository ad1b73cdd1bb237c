"""What the browser fetches for the viewer: slices and maps, each under an address of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from core import Scan
    from core.scans.viewing import ViewerVolume

# As long as the scan itself is held, and no longer.
_VOLUMES: WeakKeyDictionary[Scan, ViewerVolume] = WeakKeyDictionary()


def volume_of(scan: Scan) -> ViewerVolume:
    """All slices of a scan as the browser takes them, made once."""
    from core.scans.viewing import viewer_volume

    if scan not in _VOLUMES:
        _VOLUMES[scan] = viewer_volume(scan)
    return _VOLUMES[scan]


def address_of(data: bytes | memoryview, digest: str, mimetype: str, place: str) -> str:
    """Where the browser fetches this; it is gone once no page of this visitor shows it.

    Streamlit tells files of over 1 MiB apart by three pieces of 64 KiB and their name: air around two heads would make
    them one, and one visitor be shown the other's scan. So the name is the digest of all.
    """
    from streamlit import runtime

    if not runtime.exists():
        return ""
    return runtime.get_instance().media_file_mgr.add(cast(bytes, data), mimetype, place, file_name=digest)
