"""Bytes → Scan: DICOM, NIfTI, raster pictures and archives of them."""

from core.scans.derived import derived_dicom, derived_png, write_derived_dicom, write_derived_png
from core.scans.loading import begin_loading, load_scan
from core.scans.samples import Sample, sample_scans
from core.scans.scan import Scan, ScanError, Window

__all__ = [
    "Sample",
    "Scan",
    "ScanError",
    "Window",
    "derived_dicom",
    "derived_png",
    "begin_loading",
    "load_scan",
    "sample_scans",
    "write_derived_dicom",
    "write_derived_png",
]
