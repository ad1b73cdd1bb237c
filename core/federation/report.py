"""The report of a federation: a file that says what happened, whatever became of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.federation.plan import Plan
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


def failed_report(out: Path, plan: Plan, failed: str) -> dict[str, Any]:
    """What is to be said of a plan that can't go on in a folder: its rounds so far, none where they are another plan's.

    `failed`: why, one sentence.
    """
    known = read_report(out)
    if known.get("plan") != asdict(plan):
        known = {"plan": asdict(plan), "finished": False, "rounds": []}
    return {"started_again": []} | known | {"failed": failed}


def write_failure(out: Path, plan: Plan, failed: str, started_again: Sequence[str] = ()) -> None:
    """Write that into the folder, but never over rounds of another plan: they are as good as before."""
    known = read_report(out)
    if not known.get("rounds") or known.get("plan") == asdict(plan):
        write_report(out, failed_report(out, plan, failed) | {"started_again": list(started_again)})
