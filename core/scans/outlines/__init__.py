"""Outlines that a file brings for a scan: DICOM SEG, RTSTRUCT, NIfTI masks."""
