"""The one rule that every input obeys: it opens, or one sentence says why not."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.scans import Scan, ScanError, load_scan


def outcome(source: Any, name: str | None = None) -> Scan | str:
    """Return the scan, checked, or the sentence, checked; whatever else happens is a failure."""
    try:
        scan = load_scan(source, name)
    except ScanError as error:
        return checked_sentence(str(error))
    for index in {0, scan.default_frame, scan.frame_count - 1}:
        check_frame(scan, index)
    return scan


def check_frame(scan: Scan, index: int) -> None:
    frame = scan.frame(index)
    assert frame.dtype == np.float32
    assert frame.shape == scan.values.shape[1:]
    assert np.isfinite(frame).all() and frame.min() >= 0 and frame.max() <= 1


def checked_sentence(text: str) -> str:
    assert 10 < len(text) <= 300, text
    assert "\n" not in text and text.endswith("."), text
    assert "Error" not in text and "Traceback" not in text, text
    return text


def refused(data: bytes, *words: str) -> str:
    """Return the sentence with which a DICOM file is refused; it has to hold all of the words."""
    text = outcome(data, "file.dcm")
    assert isinstance(text, str), text
    for word in words:
        assert word in text, text
    return text
