"""python -m core examine: decide, with the evidence."""

import argparse
import json
import sys
import time
from typing import Any

from core.bundles import Bundle, policy_of
from core.cli.certificate import (
    certificate_options,
    certificate_record,
    certificate_text,
    check_certificate,
    make_certificate,
)
from core.cli.options import (
    chosen_bundle,
    chosen_profile,
    common_options,
    natural,
    profile_option,
    profile_record,
)
from core.cli.output import progress_bar, warn_of_missing_models
from core.cli.schema import checked
from core.defence.certificate import Certificate
from core.defence.examination import Examination
from core.defence.pipeline import examine
from core.defence.profile import Profile, with_profile
from core.defence.series import SliceVerdict, judge_slices, summarise
from core.explanation.region_share import RegionShare, region_share
from core.fidelity.region import Region
from core.scans import Scan, ScanError, load_scan
from core.scans.loading import begin_outlines


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    shared = [common_options(), profile_option(), certificate_options()]
    parser = commands.add_parser("examine", parents=shared)
    parser.add_argument("files", nargs="+", metavar="FILE", help="a scan, or the folder or ZIP of a study")
    which = "which series, from 0 (default: the largest; localizers, screenshots and segmentations come last)"
    parser.add_argument("--series", type=natural, help=which)
    parser.add_argument("--volume", type=natural, default=0, help="which volume of the series, from 0 (default 0)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--frame", type=natural, help="which frame of a volume, from 0 (default: the middle one)")
    which.add_argument("--all", action="store_true", help="every slice, and one line that sums them up")
    parser.add_argument("--region", metavar="FILE", help="a SEG, RTSTRUCT or mask: how far the answer rests on it")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, command: str) -> int:
    """Examine every file; 2 where one of them was bad."""
    if arguments.all and arguments.region:
        raise ValueError("A region is on one slice: give --region with --frame, not with --all.")
    bundle = chosen_bundle(arguments)
    bundle.classifier_name(arguments.classifier)
    check_certificate(arguments, bundle)
    profile = chosen_profile(arguments, bundle)
    bundle = with_profile(bundle, profile)
    warn_of_missing_models(bundle, arguments.classifier)
    command, answer, text = (
        ("examine --all", _all, study_text) if arguments.all else ("examine", _one, examination_text)
    )
    failed = False
    for file in arguments.files:
        try:
            scan = load_scan(file, series=arguments.series, volume=arguments.volume)
            record = answer(arguments, file, scan, bundle, profile)
        except ScanError as error:
            print(f"{file}: {error}", file=sys.stderr)
            failed = True
            continue
        if arguments.json:
            # A line a file, as soon as it is answered: a caller can read along.
            print(json.dumps(checked(command, record), ensure_ascii=False), flush=True)
        else:
            print(text(record))
    return 2 if failed else 0


def _one(
    arguments: argparse.Namespace, file: str, scan: Scan, bundle: Bundle, profile: Profile | None
) -> dict[str, Any]:
    exam = examine(scan, bundle, frame=arguments.frame, classifier=arguments.classifier, seed=arguments.seed)
    name = bundle.classifier_name(arguments.classifier)
    share = _rests_on(arguments.region, scan, exam, bundle) if arguments.region else None
    made = make_certificate(arguments, exam, bundle)
    return examination_record(file, exam, name, policy_of(bundle, name), profile, share, made)


def _rests_on(file: str, scan: Scan, exam: Examination, bundle: Bundle) -> RegionShare | None:
    """How far the answer rests on the first thing that a file outlines on the slice; None where there is no answer."""
    outlines = begin_outlines(file, scan).outlined()
    masks = [outline.masks[exam.frame_index] for outline in outlines if exam.frame_index in outline.bits]
    if not masks:
        raise ScanError(f"{file} outlines nothing on frame {exam.frame_index}; choose another with --frame.")
    if exam.prediction is None:
        return None
    region = Region(masks[0], exam.frame_index, "file").at(bundle.resolution, scan.spacing)
    return region_share(exam.decided_on, region, bundle, exam.prediction.classifier)


def _all(
    arguments: argparse.Namespace, file: str, scan: Scan, bundle: Bundle, profile: Profile | None
) -> dict[str, Any]:
    """All slices of a scan, as `core.cli.schema.EXAMINE_ALL` declares them."""
    start = time.perf_counter()
    verdicts: list[SliceVerdict] = []
    with progress_bar(scan.frame_count, "slice") as bar:
        for batch in judge_slices(scan, bundle, classifier=arguments.classifier, seed=arguments.seed):
            verdicts += batch
            bar.update(len(batch))
    return {
        "file": file,
        "bundle": bundle.name,
        "classifier": bundle.classifier_name(arguments.classifier),
        "series": scan.series_index,
        "series_count": scan.series_count,
        "volume": scan.volume,
        "volume_count": scan.volume_count,
        "plane": scan.plane,
        "sequence": scan.sequence,
        "spacing": list(scan.millimetres) if scan.millimetres else None,
        "left_out": list(scan.left_out),
        "slices": [_slice_record(verdict) for verdict in verdicts],
        "summary": summarise(verdicts, bundle.classes),
        "seconds": time.perf_counter() - start,
        "profile": profile_record(profile),
    }


def _slice_record(verdict: SliceVerdict) -> dict[str, Any]:
    return {
        "frame": verdict.frame,
        "label": verdict.label,
        "probability": verdict.confidence if verdict.label else None,
        "flagged": verdict.flagged,
        "altered": verdict.altered,
        "refused": verdict.refused,
    }


def study_text(record: dict[str, Any]) -> str:
    """The same for a person, in one line: which series, where there are several, and what was found and left out."""
    which = f"series {record['series']} of 0 to {record['series_count'] - 1}, " if record["series_count"] > 1 else ""
    return " ".join([f"{record['file']}: {which}{record['summary']}.", *record["left_out"]])


def examination_record(
    file: str,
    exam: Examination,
    classifier: str,
    policy: str,
    profile: Profile | None = None,
    share: RegionShare | None = None,
    certificate: Certificate | None = None,
) -> dict[str, Any]:
    """An examination as `core.cli.schema.EXAMINE` declares it; what a refused scan lacks is empty.

    Where a bundle detects nothing, nothing is flagged, and `scores` and `thresholds` are empty. `altered` is
    null where the bundle doesn't ask. `stands` says that the scan is purified and its own answer the decision all the
    same (`core.Examination.kept_borderline`). The sources of
    plane and sequence are ``tags`` or ``picture``; both are null where nothing tells.
    """
    detection = exam.detection
    return {
        "file": file,
        "bundle": exam.bundle,
        "classifier": classifier,
        "policy": policy,
        "label": exam.label,
        "refused": exam.refused,
        "probabilities": dict(exam.prediction.probabilities) if exam.prediction else {},
        "flagged": bool(detection and detection.flagged),
        "flagged_by": list(detection.flagged_by) if detection else [],
        "altered": detection.altered if detection else None,
        "altered_by": list(detection.altered_by) if detection else [],
        "scores": dict(detection.scores) if detection else {},
        "thresholds": dict(detection.thresholds) if detection else {},
        "purified": exam.purification is not None,
        "stands": exam.kept_borderline,
        "t_star": exam.purification.t_star if exam.purification else None,
        "plane": exam.plane.name if exam.plane else None,
        "plane_source": exam.plane.source if exam.plane else None,
        "sequence": exam.sequence.name if exam.sequence else None,
        "sequence_source": exam.sequence.source if exam.sequence else None,
        "rests_on": share._asdict() if share else None,
        "seconds": dict(exam.seconds),
        "profile": profile_record(profile),
        "certificate": certificate_record(certificate, exam),
    }


def examination_text(record: dict[str, Any]) -> str:
    """The same for a person, in one line."""
    if record["refused"]:
        return f"{record['file']}: refused. {record['refused']}"
    share = record["probabilities"][record["label"]]
    parts = _detected(record) if record["thresholds"] else ["not checked for attacks"]
    if found := record["rests_on"]:
        parts.append(f"{found['inside']:.0%} of it rests on the region, {found['size']:.1%} of the {found['of']}")
    certified = certificate_text(record["certificate"])
    return f"{record['file']}: {record['label']} ({share:.1%}), {'; '.join(parts)}{certified}"


def _detected(record: dict[str, Any]) -> list[str]:
    """What the detector found, and what was done about it."""
    parts = [f"flagged by {', '.join(record['flagged_by'])}" if record["flagged"] else "not flagged"]
    parts += [f"altered by {', '.join(record['altered_by'])}"] if record["altered"] else []
    parts += [f"purified at t* = {record['t_star']}"] if record["purified"] else []
    return parts + (["borderline, so its own answer stands"] if record["stands"] else [])
