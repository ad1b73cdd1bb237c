"""python -m core calibrate: refit the detector's thresholds on a site's own unattacked scans."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.bundles import Bundle, BundleError
from core.cli.options import above_nothing, chosen_bundle, common_options
from core.cli.output import print_json, progress_bar
from core.defence.profile import RECOMMENDED_SCANS, Profile, write_profile
from core.scans.text import one_line

if TYPE_CHECKING:
    from core.report.site_scans import SiteScans

MOST_NAMED = 3


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser("calibrate", parents=[common_options()])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help=f"{RECOMMENDED_SCANS} or more unattacked scans")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="profile.json to write")
    parser.add_argument("--private", type=above_nothing, metavar="EPS", help="draw thresholds that tell of no one scan")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, command: str) -> int:
    """Open and examine the scans, fit, write, and say what it promises."""
    # Here and not above: scikit-image takes a while to load, and `examine` has no use for it.
    from core.report.site_scans import SiteScans, folder_files, site_scans

    if not arguments.out.parent.is_dir() or arguments.out.is_dir():
        raise ValueError(f"--out {str(arguments.out)!r} is no file in a folder that exists; name another.")
    bundle = chosen_bundle(arguments)
    if bundle.lacks:
        raise BundleError(bundle.lacks)
    name, start = bundle.classifier_name(arguments.classifier), time.perf_counter()
    bundle.starting_limits(name)
    files = folder_files(arguments.folder)
    found = SiteScans(len(files))
    with progress_bar(2 * len(files), "step") as bar:
        for found in site_scans(files, bundle, name, arguments.seed):
            bar.update(found.opened + found.settled - bar.n)
    if found.unreadable:
        print(unreadable_text(found.unreadable), file=sys.stderr)
    profile = found.fitted(bundle, name, arguments.private)
    arguments.out.write_text(write_profile(profile), encoding="ascii")
    record = calibration_record(profile, found, bundle)
    record |= {"out": str(arguments.out), "seconds": time.perf_counter() - start}
    if arguments.json:
        print_json("calibrate", record)
    else:
        print(calibration_text(record, found))
    return 0


def unreadable_text(unreadable: Sequence[tuple[str, str]]) -> str:
    """What is said of files that can't be opened, by name and reason: of many their count and the first names."""
    if len(unreadable) <= MOST_NAMED:
        return "\n".join(why for _, why in unreadable)
    first = ", ".join(f"'{one_line(name)}'" for name, _ in unreadable[:MOST_NAMED])
    return f"{len(unreadable)} files are no scans that can be read, and don't count: {first} and others."


def calibration_record(profile: Profile, found: SiteScans, bundle: Bundle) -> dict[str, Any]:
    """A calibration as `core.cli.schema.CALIBRATE` declares it, without `out` and `seconds`.

    What is shipped is null, or empty, for a classifier that was added.
    """
    limits, shipped = bundle.starting_limits(profile.classifier), profile.classifier not in bundle.added
    return {
        "bundle": profile.bundle,
        "classifier": profile.classifier,
        "files": found.files,
        "scans": profile.scans,
        "refused": found.refused,
        "duplicates": found.duplicates,
        "same_volume": found.same_volume,
        "made_here": found.made_here,
        "unreadable": len(found.unreadable),
        "flagged_as_shipped": found.flagged if shipped else None,
        "altered_as_shipped": found.altered if limits.altered and shipped else None,
        "thresholds_as_shipped": dict(limits.thresholds) if shipped else {},
        "thresholds": profile.thresholds,
        "alpha": {name: group.alpha for name, group in profile.groups.items()},
        "bound": {name: group.bound for name, group in profile.groups.items()},
        "promise": profile.promise,
        "epsilon": profile.epsilon,
    }


def calibration_text(record: dict[str, Any], found: SiteScans) -> str:
    """The same for a person."""
    left = "; ".join(["", *found.left_out()])
    lines = [f"{record['scans']} scans count, of {record['files']} files{left}."]
    altered = record["altered_as_shipped"]
    also = "" if altered is None else f", and {altered} are altered"
    today = record["flagged_as_shipped"]
    lines += [] if today is None else [f"As shipped, {today} of them are flagged{also}."]
    lines += [record["promise"]]
    if record["scans"] < RECOMMENDED_SCANS and record["epsilon"] is None:
        lines.append(f"With {RECOMMENDED_SCANS} or more scans it promises more.")
    for name, limit in record["thresholds"].items():
        before = record["thresholds_as_shipped"].get(name)
        lines.append(f"{name:12} {'' if before is None else f'{before:.4g} as shipped → '}{limit:.4g}")
    return "\n".join([*lines, f"Written to {record['out']}."])
