"""Purescan's inference library: load a scan, load a bundle, examine the one with the other."""

from core.bundles import Bundle, BundleError, bundle_names, load_bundle
from core.examination import Detection, Examination, Prediction, Purification, PurifyStep
from core.pipeline import examine
from core.scans import Scan, ScanError, Window, load_scan

__all__ = [
    "Bundle",
    "BundleError",
    "Detection",
    "Examination",
    "Prediction",
    "Purification",
    "PurifyStep",
    "Scan",
    "ScanError",
    "Window",
    "bundle_names",
    "examine",
    "load_bundle",
    "load_scan",
]
