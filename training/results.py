"""weights/<bundle>/results.json: what several recipes have measured, each under keys of its own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_results(path: Path) -> dict[str, Any]:
    """What has been measured so far; empty where there is no file yet."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_results(path: Path, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Put some keys in and return the whole; what other recipes have written meanwhile stays under theirs."""
    report = read_results(path) | changes
    fresh = path.with_suffix(".json.new")  # moved into place, so that a run that is cut off leaves no half a file
    fresh.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    fresh.replace(path)
    return report
