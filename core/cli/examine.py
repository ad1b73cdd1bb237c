"""python -m core examine: decide, with the evidence."""

import argparse
import json
import sys
from typing import Any

from core.bundles import load_bundle
from core.cli.options import common_options, natural
from core.cli.output import warn_of_missing_models
from core.cli.schema import checked
from core.defence.examination import Examination
from core.defence.pipeline import examine
from core.scans import ScanError, load_scan


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser("examine", parents=[common_options()], help="decide, with the evidence")
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--frame", type=natural, help="which frame of a volume, from 0 (default: the middle one)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, command: str) -> int:
    """Examine every file; 2 where one of them was bad."""
    bundle = load_bundle(arguments.bundle)
    bundle.classifier_name(arguments.classifier)
    warn_of_missing_models(bundle)
    failed = False
    for file in arguments.files:
        try:
            scan = load_scan(file)
            exam = examine(scan, bundle, frame=arguments.frame, classifier=arguments.classifier, seed=arguments.seed)
        except ScanError as error:
            print(f"{file}: {error}", file=sys.stderr)
            failed = True
            continue
        record = examination_record(file, exam, bundle.classifier_name(arguments.classifier))
        if arguments.json:
            # A line a file, as soon as it is answered: a caller can read along.
            print(json.dumps(checked("examine", record), ensure_ascii=False), flush=True)
        else:
            print(examination_text(record))
    return 2 if failed else 0


def examination_record(file: str, exam: Examination, classifier: str) -> dict[str, Any]:
    """An examination as `core.cli.schema.EXAMINE` declares it; what a refused scan lacks is empty.

    Where a bundle detects nothing, nothing is flagged, and `scores` and `thresholds` are empty. `stands` says that the
    scan is flagged and its own answer the decision all the same (`core.Examination.kept_borderline`).
    """
    detection = exam.detection
    return {
        "file": file,
        "bundle": exam.bundle,
        "classifier": classifier,
        "label": exam.label,
        "refused": exam.refused,
        "probabilities": dict(exam.prediction.probabilities) if exam.prediction else {},
        "flagged": bool(detection and detection.flagged),
        "flagged_by": list(detection.flagged_by) if detection else [],
        "scores": dict(detection.scores) if detection else {},
        "thresholds": dict(detection.thresholds) if detection else {},
        "purified": exam.purification is not None,
        "stands": exam.kept_borderline,
        "t_star": exam.purification.t_star if exam.purification else None,
        "seconds": dict(exam.seconds),
    }


def examination_text(record: dict[str, Any]) -> str:
    """The same for a person, in one line."""
    if record["refused"]:
        return f"{record['file']}: refused. {record['refused']}"
    share = record["probabilities"][record["label"]]
    if not record["thresholds"]:
        return f"{record['file']}: {record['label']} ({share:.1%}), not checked for attacks"
    flag = f"flagged by {', '.join(record['flagged_by'])}; purified at t* = {record['t_star']}"
    flag += "; borderline, so its own answer stands" if record["stands"] else ""
    return f"{record['file']}: {record['label']} ({share:.1%}), {flag if record['flagged'] else 'not flagged'}"
