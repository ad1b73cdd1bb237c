"""Purescan's inference library: load a scan, load a bundle, examine the one with the other."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# OpenMP's threads spin while they wait. Where another process wants the cores as well, that makes an examination thirty
# times as slow; a short spin costs nothing where they are free. It has to be said before torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

if TYPE_CHECKING:
    from core.bundles import Bundle, BundleError, bundle_names, load_bundle
    from core.defence.examination import Detection, Examination, Prediction, Purification, PurifyStep
    from core.defence.pipeline import examine
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

_HOMES = {
    "core.bundles": ("Bundle", "BundleError", "bundle_names", "load_bundle"),
    "core.defence.examination": ("Detection", "Examination", "Prediction", "Purification", "PurifyStep"),
    "core.defence.pipeline": ("examine",),
    "core.scans": ("Scan", "ScanError", "Window", "load_scan"),
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for: the encryption server has no use for torch."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'core' has no attribute {name!r}")
