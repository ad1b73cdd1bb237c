"""The report of a federation: a file that says what happened, whatever became of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.storage import save_text

REPORT = "report.json"


def write_report(out: Path, report: Mapping[str, Any]) -> None:
    """Write a federation's report into its folder, whole or not at all."""
    save_text(json.dumps(report, indent=1, ensure_ascii=False), out / REPORT)


def read_report(out: Path) -> dict[str, Any]:
    """The report in a folder; empty where there is none yet."""
    try:
        return json.loads((out / REPORT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ValueError(f"{out / REPORT} is damaged; take another folder to begin anew.") from error
