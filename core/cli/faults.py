"""python -m core faults: flip bits of a classifier's memory."""

import argparse
from dataclasses import fields
from pathlib import Path

from core.cli.options import chosen_bundle, common_options, positive
from core.cli.output import print_json, progress_bar


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser("faults", parents=[common_options()])
    parser.add_argument("--flips", type=int, default=1, help="bits at once; with --worst-case, at most (default 1)")
    parser.add_argument("--trials", type=int, default=100, help="default 100")
    parser.add_argument("--worst-case", action="store_true", help="search for the bits that do the most damage")
    parser.add_argument("--silent", action="store_true", help="with --worst-case: every answer must stay finite")
    parser.add_argument("--guard", default="off", help="off, detect or repair (default off)")
    parser.add_argument("--kind", default="weight", help="weight or activation (default weight)")
    parser.add_argument("--tensor", metavar="NAME", help="flip only in this tensor, module or stage")
    parser.add_argument("--bit", type=int, help="flip only this bit, 0 for the lowest")
    parser.add_argument("--format", default="float32", help="float32 or bfloat16 (default float32)")
    parser.add_argument("--data", type=Path, help=".npz or .zip; its split val (default: the bundle's sample scans)")
    parser.add_argument("--limit", type=positive, default=64, help="of so many images, drawn with --seed (default 64)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, command: str) -> int:
    """Flip, measure, and print what it did."""
    # Here and not above: `examine` has no use for it.
    from core.evaluation.fault_report import FaultOptions, faults_text, measured_faults

    bundle = chosen_bundle(arguments)
    options = FaultOptions(**{field.name: getattr(arguments, field.name) for field in fields(FaultOptions)})
    with progress_bar(options.steps, "step") as bar:
        report = measured_faults(bundle, options, command, bar.update)
    if arguments.json:
        print_json("faults", report)
    else:
        print(faults_text(report))
    return 0
