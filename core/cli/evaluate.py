"""python -m core evaluate: measure the defence over a data set."""

import argparse
from pathlib import Path
from typing import Any

from core.attacks import METHODS, find_method
from core.cli.options import (
    attack_settings,
    budget_options,
    chosen_bundle,
    chosen_profile,
    common_options,
    positive,
    profile_option,
    profile_record,
)
from core.cli.output import print_json, progress_bar, warn_of_missing_models
from core.defence.profile import with_profile
from core.purification.catalogue import PURIFIERS, find_purifier
from core.purification.settings import PurifySettings


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    shared = [common_options(), budget_options(), profile_option()]
    parser = commands.add_parser("evaluate", parents=shared)
    parser.add_argument(
        "--data", required=True, type=Path, nargs="+", metavar="FILE", help=".npz or .zip; several are measured as one"
    )
    parser.add_argument("--per-site", type=positive, metavar="N", help="at most so many scans of each site")
    parser.add_argument(
        "--purifier",
        default="adaptive",
        help=f"of what is flagged or altered; one of: {', '.join(PURIFIERS)} (default adaptive)",
    )
    parser.add_argument("--split", default="val", choices=("val", "test", "all"))
    parser.add_argument("--attack", help=f"one of: {', '.join(METHODS)} (default: none)")
    parser.add_argument("--severity", type=int, default=1, choices=range(1, 6), help="of a corruption (default 1)")
    parser.add_argument("--limit", type=positive, help="measure on so many images, drawn with --seed")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="keep the answers here, and go on from them")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, command: str) -> int:
    """Measure, and print the report."""
    # Here and not above: scikit-learn takes a second to load, and `examine` has no use for it.
    from core.evaluation.datasets import load_joined
    from core.evaluation.evaluation import evaluate, settings_record
    from core.evaluation.selection import per_site

    attack = attack_settings(arguments, arguments.attack)
    if attack.method:
        find_method(attack)
    elif attack.white_box:
        raise ValueError("--white-box needs --attack.")
    purifier = PurifySettings(arguments.purifier)
    find_purifier(purifier)
    bundle = chosen_bundle(arguments)
    profile = chosen_profile(arguments, bundle)
    warn_of_missing_models(with_profile(bundle, profile), arguments.classifier)
    data = load_joined(bundle, arguments.data, None if arguments.split == "all" else arguments.split)
    data = per_site(data, arguments.per_site, arguments.seed)
    data = data.limited(arguments.limit, arguments.seed)
    passes = 2 if arguments.attack else 1
    with progress_bar(passes * len(data), "image") as bar:
        report = evaluate(
            data,
            bundle,
            classifier=arguments.classifier,
            attack=attack,
            purifier=purifier,
            seed=arguments.seed,
            resume=arguments.resume,
            profile=profile,
            progress=bar.update,
        )
    report["settings"] = settings_record(
        data,
        with_profile(bundle, profile),
        arguments.classifier,
        attack,
        arguments.split,
        arguments.seed,
        command,
        purifier,
    )
    report["settings"]["profile"] = profile_record(profile)
    if arguments.json:
        print_json("evaluate", report)
    else:
        print(evaluation_text(report))
    return 0


def evaluation_text(report: dict[str, Any]) -> str:
    """A report for a person, one figure a line."""
    lines = [f"n = {report['n']}, refused {report['refused']}, {report['seconds_per_image']:.3f} s per image"]
    for name, (low, high) in report["intervals"].items():
        lines.append(f"{name:28} {report[name]:7.2%}  [{low:.2%}, {high:.2%}]")
    for score, figures in report["detection"].items():
        low, high = figures["auc_interval"]
        lines.append(f"{f'AUC {score}':28} {figures['auc']:7.3f}  [{low:.3f}, {high:.3f}]")
    for site, shares in report.get("sites", {}).items():
        lines.append(f"at {site}, n = {shares['n']}")
        for name, (low, high) in shares["intervals"].items():
            lines.append(f"  {name:26} {shares[name]:7.2%}  [{low:.2%}, {high:.2%}]")
    return "\n".join(lines)
