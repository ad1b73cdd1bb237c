"""Purescan's inference library: load a scan, load a bundle, examine the one with the other."""

import os

# OpenMP's threads spin while they wait. Where another process wants the cores as well, that makes an examination thirty
# times as slow; a short spin costs nothing where they are free. It has to be said before torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

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
