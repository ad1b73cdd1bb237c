"""How files that Purescan wrote are marked, and recognised again.

A marker tells where pixels come from; it proves nothing, as anybody can write it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydicom.dataset import Dataset

SOFTWARE = "Purescan"
KINDS = ("synthetic", "attacked", "purified")
PNG_KEY = "Purescan"


def derived_kind(ds: Dataset) -> str | None:
    """Return ``'synthetic'``, ``'attacked'`` or ``'purified'`` for a data set that Purescan wrote, else None.

    The sign is (0018,1020) Software Versions together with the fourth value of (0008,0008) Image Type, which the
    standard leaves to the writer (PS3.3 C.7.6.1.1.2).
    """
    versions = ds.get("SoftwareVersions") or ""
    versions = versions if isinstance(versions, str) else "\\".join(map(str, versions))
    image_type = ds.get("ImageType") or []
    image_type = [image_type] if isinstance(image_type, str) else list(image_type)
    if not versions.startswith(SOFTWARE) or len(image_type) < 4:
        return None
    kind = str(image_type[3]).lower()
    return kind if kind in KINDS else None


def png_kind(text: Mapping[Any, object]) -> str | None:
    """Return the kind that the text chunks of a PNG state, or None."""
    kind = str(text.get(PNG_KEY, ""))
    return kind if kind in KINDS else None
