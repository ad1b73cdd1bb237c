"""Every file that pydicom and pydicom-data bring opens, or is refused for a stated reason."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from outcomes import outcome

from core.scans import Scan

pytestmark = pytest.mark.filterwarnings("ignore")

_FOLDERS = (
    ("pydicom", "data/test_files"),
    ("pydicom", "data/charset_files"),
    ("pydicom", "data/palettes"),
    ("data_store", "data"),
)

# Files with pixel data that cannot be shown: they were damaged on purpose.
_UNREADABLE = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "compressed picture has",
    "MR_truncated.dcm": "cut short",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "cut off",
    "meta_missing_tsyntax.dcm": "lacks the DICOM attribute Rows",
    "nested_priv_SQ.dcm": "lacks the DICOM attribute Rows",
}

# What is refused because there is no picture in it.
_NO_PICTURE = (
    "without an image", "pixels are missing", "DICOMDIR", "text file", "JSON file", "gzip", "no format known",
    "cannot be read as DICOM",
)  # fmt: skip


def _files() -> Iterator[Path]:
    for package, folder in _FOLDERS:
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or []) if spec else []:
            paths = sorted((Path(root) / folder).rglob("*"))
            yield from (path for path in paths if path.is_file() and path.suffix not in (".py", ".pyc"))


def _line(path: Path, result: Scan | str) -> str:
    if isinstance(result, str):
        return f"refused  {path.name:48} {result}"
    shape = " × ".join(map(str, result.values.shape))
    return f"opened   {path.name:48} {shape} {result.values.dtype} {result.modality or ''}"


@pytest.mark.slow
def test_every_bundled_file(capsys: pytest.CaptureFixture[str]) -> None:
    results = {path: outcome(path) for path in _files()}
    opened = sum(isinstance(result, Scan) for result in results.values())
    with capsys.disabled():
        print()
        print("\n".join(_line(path, result) for path, result in results.items()))
        print(f"{len(results)} files: {opened} opened, {len(results) - opened} refused.")
    assert opened >= 90
    for path, result in results.items():
        _check(path, result)


def _check(path: Path, result: Scan | str) -> None:
    if path.name in _UNREADABLE:
        assert isinstance(result, str) and _UNREADABLE[path.name] in result, result
    elif isinstance(result, str):
        assert any(reason in result for reason in _NO_PICTURE), result
    else:
        assert result.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert result.kind == "dicom"
        assert not path.name.startswith(("rtplan", "rtstruct", "DICOMDIR", "waveform", "test-SR", "reportsi"))
