"""Attributes of a data set, whatever state they are in."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException

from core.scans.scan import ScanError

DAMAGED = (
    AttributeError, BytesLengthException, EOFError, IndexError, KeyError, NotImplementedError, OSError, TypeError,
    ValueError,
)  # fmt: skip
"""What pydicom raises where a value can't be parsed, or is of another kind than its attribute asks for."""


def group_item(ds: Dataset, index: int, keyword: str) -> Dataset | None:
    """Return the functional group `keyword` of frame `index`, its own or the shared one (PS3.3 C.7.6.16)."""
    own = ds.get("PerFrameFunctionalGroupsSequence")
    shared = ds.get("SharedFunctionalGroupsSequence")
    for groups in (own[index] if own and index < len(own) else None, shared[0] if shared else None):
        items = groups.get(keyword) if groups is not None else None
        if items:
            return items[0]
    return None


def damaged(keyword: str, name: str) -> ScanError:
    """Return what to raise where an attribute that a file can't do without is damaged."""
    return ScanError(f"'{name}' has a damaged DICOM attribute {keyword}: export or download it again.")


def value_of(ds: Dataset, keyword: str) -> Any:
    """Return the value of an attribute; None where it is absent or damaged."""
    try:
        return ds.get(keyword)
    except DAMAGED:
        return None


def finite_number(ds: Dataset | None, keyword: str) -> float | None:
    """Return a numeric attribute, or None where it is absent, empty, damaged or not finite."""
    numbers = finite_numbers(ds, keyword)
    return numbers[0] if numbers else None


def finite_numbers(ds: Dataset | None, keyword: str) -> list[float]:
    """Return the values of a numeric attribute; empty where any of them is damaged or not finite."""
    try:
        value = ds.get(keyword) if ds is not None else None
        if value is None or value == "":
            return []
        numbers = [float(value)] if isinstance(value, (str, int, float)) else [float(part) for part in value]
    except DAMAGED:
        return []
    return numbers if np.isfinite(numbers).all() else []


def private_value(ds: Dataset, group: int, creator: str, element: int) -> object:
    """The value of a private element of a known creator (PS3.5 7.8.1); None where it is absent or damaged."""
    try:
        return ds.private_block(group, creator)[element].value
    except DAMAGED:
        return None


def series_digest(ds: Dataset) -> str | None:
    """What tells the files of one series from those of another, hex; None where none is stated."""
    return _digest(ds, "SeriesInstanceUID")


def reference_digest(ds: Dataset) -> str | None:
    """What tells one frame of reference from another, hex; None where none is stated."""
    return _digest(ds, "FrameOfReferenceUID")


def _digest(ds: Dataset, keyword: str) -> str | None:
    uid = str(value_of(ds, keyword) or "")
    return hashlib.sha256(uid.encode("utf-8", "replace")).hexdigest() if uid else None
