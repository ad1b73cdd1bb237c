"""What the detector measures of a scan."""
