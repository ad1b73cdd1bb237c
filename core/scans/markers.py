"""How files that Purescan wrote are marked, and recognised again.

A marker tells where pixels come from; it proves nothing, as anybody can write it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from core.scans.dicom.attributes import value_of

SOFTWARE = "Purescan"
KINDS = ("synthetic", "attacked", "purified")
PNG_KEY = "Purescan"


def derived_kind(ds: Dataset) -> str | None:
    """Return ``'synthetic'``, ``'attacked'`` or ``'purified'`` for a data set that Purescan wrote, else None.

    The sign is (0018,1020) Software Versions together with the fourth value of (0008,0008) Image Type, which the
    standard leaves to the writer (PS3.3 C.7.6.1.1.2).
    """
    versions = value_of(ds, "SoftwareVersions")
    versions = "\\".join(map(str, versions)) if isinstance(versions, MultiValue) else str(versions or "")
    image_type = value_of(ds, "ImageType")
    if not versions.startswith(SOFTWARE) or not isinstance(image_type, MultiValue) or len(image_type) < 4:
        return None
    kind = str(image_type[3]).lower()
    return kind if kind in KINDS else None


def png_kind(text: Mapping[Any, object]) -> str | None:
    """Return the kind that the text chunks of a PNG state, or None."""
    kind = str(text.get(PNG_KEY, ""))
    return kind if kind in KINDS else None
