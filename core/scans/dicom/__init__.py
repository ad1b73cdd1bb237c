"""DICOM: reading, pixels, values, tags."""
