"""The JSON files of a bundle's folder: read as they are, changed in part, and written whole."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.bundles import file_sha256
from training.tasks import TASKS

BUNDLE = "bundle.json"
RESULTS = "results.json"


def read_json(path: Path) -> dict[str, Any]:
    """Return what a file holds; empty where there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file anew; a run that is cut off meanwhile leaves the old one and not half of the new."""
    fresh = path.with_suffix(".json.new")
    fresh.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    fresh.replace(path)


def read_facts(folder: Path) -> dict[str, Any]:
    """Return bundle.json of a folder, or what the bundle of this name begins with."""
    return read_json(folder / BUNDLE) or dict(TASKS[folder.name])


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write bundle.json with the SHA-256 of every file beside it that the bundle loads."""
    loaded = sorted(
        path for path in folder.iterdir() if path.suffix == ".safetensors" or path.name == facts.get("calibration")
    )
    hashes = {path.name: file_sha256(path) for path in loaded}
    (folder / BUNDLE).write_text(json.dumps({**facts, "files": hashes}, indent=1) + "\n", encoding="utf-8")


def read_results(folder: Path) -> dict[str, Any]:
    """Return results.json of a folder: what several commands have measured, each under keys of its own."""
    return read_json(folder / RESULTS)


def write_results(folder: Path, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Put some keys into results.json and return the whole; what other commands have written stays."""
    report = read_results(folder) | dict(changes)
    write_json(folder / RESULTS, report)
    return report
