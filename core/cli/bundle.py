"""python -m core bundle add | remove: somebody's own classifier joins a bundle, or leaves it."""

import argparse
from pathlib import Path
from typing import Any

from core.bundles import Bundle, load_bundle
from core.bundles.adding import Joined, add_classifier, remove_classifiers
from core.bundles.checking import Wanted
from core.cli.options import positive
from core.cli.output import print_json


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command, and what it does."""
    parser = commands.add_parser("bundle")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _declare_add(actions)
    _declare_remove(actions)


def _declare_add(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser("add", help="have a timm classifier join a bundle, or make a new one of it")
    parser.add_argument("name", metavar="NAME", help="a bundle, or the name of a new one of classifiers alone")
    parser.add_argument("--timm", required=True, metavar="MODEL", help="the architecture, by timm's name")
    parser.add_argument("--weights", required=True, type=Path, metavar="FILE", help="its state dict, as safetensors")
    parser.add_argument("--classes", required=True, type=_words, metavar="A,B", help="in the order of its outputs")
    about = "that its input is normalised by, in pixel units from 0 to 1: one number, or one a channel"
    parser.add_argument("--mean", required=True, type=_numbers, metavar="M,…", help=f"the mean {about}")
    parser.add_argument("--std", required=True, type=_numbers, metavar="S,…", help=f"the standard deviation {about}")
    parser.add_argument("--size", type=positive, metavar="N", help="pixels a side that it was trained on")
    parser.add_argument("--as", dest="called", metavar="CLASSIFIER", help="what it is called (default: MODEL)")
    parser.add_argument("--grey", action="store_true", help="of a new bundle: its scans are grey")
    parser.add_argument("--modalities", type=_words, default=(), metavar="MR,…", help="of a new bundle: DICOM ones")
    parser.add_argument("--json", action="store_true", help="print nothing but JSON")
    parser.set_defaults(run=run_add)


def _declare_remove(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser("remove", help="take away what was added under a bundle's name")
    parser.add_argument("name", metavar="NAME", help="the bundle; its own classifiers stay")
    parser.add_argument("--classifier", help="this one alone (default: all that were added)")
    parser.add_argument("--json", action="store_true", help="print nothing but JSON")
    parser.set_defaults(run=run_remove)


def run_add(arguments: argparse.Namespace, command: str) -> int:
    """Check it, write it, load the bundle with it, and say what came of it."""
    wanted = Wanted(
        bundle=arguments.name,
        model=arguments.timm,
        weights=arguments.weights,
        classes=arguments.classes,
        mean=arguments.mean,
        std=arguments.std,
        size=arguments.size,
        name=arguments.called,
        grey=arguments.grey,
        modalities=arguments.modalities,
    )
    joined = add_classifier(wanted)
    bundle = load_bundle(joined.bundle)
    lacks = bundle.lacks_for(joined.classifier)
    record = {**joined._asdict(), "classes": list(joined.classes), "folder": str(joined.folder), "lacks": lacks}
    if arguments.json:
        print_json("bundle add", record)
    else:
        print(addition_text(joined, bundle))
    return 0


def run_remove(arguments: argparse.Namespace, command: str) -> int:
    """Take it away, and say what went."""
    record: dict[str, Any] = {"bundle": arguments.name}
    record["removed"] = list(remove_classifiers(arguments.name, arguments.classifier))
    if arguments.json:
        print_json("bundle remove", record)
    else:
        print(f"Taken away from {arguments.name}: {', '.join(record['removed'])}.")
    return 0


def addition_text(joined: Joined, bundle: Bundle) -> str:
    """What came of an addition, for a person, and what to do next."""
    what = "is a bundle of its own now" if joined.new else "has joined the bundle"
    scans = f"{'grey' if joined.channels == 1 else 'colour'}, {joined.resolution} × {joined.resolution} pixels"
    sees = f"{joined.network_channels} channel{'s' * (joined.network_channels > 1)} of {joined.size} × {joined.size}"
    chosen = f"--bundle {joined.bundle} --classifier {joined.classifier}"
    lines = [
        f"{joined.classifier} ({joined.parameters / 1e6:.1f} M parameters) {what}: {joined.bundle}.",
        f"It tells {', '.join(joined.classes)} apart. Scans are {scans}; the network sees {sees}.",
        f"It lies in {joined.folder}; python -m core bundle remove {joined.bundle} takes it away.",
        bundle.lacks_for(joined.classifier) or "",
        f"Now: python -m core examine FILE {chosen}",
    ]
    if bundle.lacks is None:
        lines.append(f"Thresholds: python -m core calibrate FOLDER {chosen} --out profile.json")
    return "\n".join(filter(None, lines))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not one number, or several with commas between them") from None
