"""Bytes → Scan: DICOM, NIfTI, raster pictures and archives of them."""

from core.scans.derived import derived_dicom, derived_png, write_derived_dicom, write_derived_png
from core.scans.loading import Study, list_series, load_scan
from core.scans.samples import Sample, sample_scans
from core.scans.scan import Scan, ScanError, Series, Window

__all__ = [
    "Sample",
    "Scan",
    "ScanError",
    "Series",
    "Study",
    "Window",
    "derived_dicom",
    "derived_png",
    "list_series",
    "load_scan",
    "sample_scans",
    "write_derived_dicom",
    "write_derived_png",
]
