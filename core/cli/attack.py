"""python -m core attack: attack a scan and write it to a file."""

import argparse
import time
from pathlib import Path

import torch

from core.attacks import (
    ATTACKS,
    attack_pixels,
    attackable_pixels,
    describe_attack,
    displayable,
    find_method,
    longest_run,
    sees_defence,
)
from core.cli.options import attack_settings, budget_options, chosen_bundle, common_options, natural
from core.cli.output import label_of, print_json, progress_bar
from core.scans import load_scan, write_derived_dicom, write_derived_png


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    shared = [common_options(), budget_options()]
    parser = commands.add_parser("attack", parents=shared)
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--method", default="pgd", help=f"one of: {', '.join(ATTACKS)} (default pgd)")
    parser.add_argument("--frame", type=natural)
    parser.add_argument("--out", required=True, type=Path, help=".dcm or .png to write")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, command: str) -> int:
    """Attack, write, and say what came of it."""
    if arguments.out.suffix.lower() not in (".dcm", ".png"):
        raise ValueError(f"--out must end in .dcm or .png, not {arguments.out.suffix or 'nothing'!r}.")
    if not arguments.out.parent.is_dir():
        raise ValueError(f"There is no folder {str(arguments.out.parent)!r} to write to; make it first.")
    if arguments.out.resolve() == Path(arguments.file).resolve():
        raise ValueError("--out is the scan itself; name another file, so that the scan isn't lost.")
    settings = attack_settings(arguments, arguments.method)
    if arguments.method not in ATTACKS:
        raise ValueError(f"There is no attack named {arguments.method!r}; choose one of: {', '.join(ATTACKS)}.")
    bundle = chosen_bundle(arguments, torch.float32 if sees_defence(settings) else None)
    name = bundle.classifier_name(arguments.classifier)
    scan = load_scan(arguments.file)
    before = attackable_pixels(scan, bundle, arguments.frame)
    start = time.perf_counter()
    with progress_bar(longest_run(settings, len(bundle.classes)), "step") as bar:
        for step in attack_pixels(before, bundle, settings, classifier=name, seed=arguments.seed):
            after = step.attacked.cpu()
            bar.update()
    seconds = time.perf_counter() - start
    if arguments.out.suffix.lower() == ".dcm":
        description = describe_attack(settings, bundle, step.index + 1, classifier=name)
        how = {"kind": "attacked", "modality": bundle.written_modality, "source": scan, "prepared": True}
        write_derived_dicom(arguments.out, displayable(after), description=description, **how)
    else:
        write_derived_png(arguments.out, displayable(after), "attacked")
    # What the file holds: a colour PNG has 8 bits, which may undo a small change.
    after = attackable_pixels(load_scan(arguments.out), bundle)
    labels = [label_of(bundle, name, pixels) for pixels in (before, after)]
    record = {
        "file": arguments.file,
        "bundle": bundle.name,
        "classifier": name,
        "method": arguments.method,
        "eps": arguments.eps,
        "norm": arguments.norm,
        "steps": step.index + 1,
        "restarts": settings.restarts if "restarts" in find_method(settings).takes else 1,
        "seed": arguments.seed,
        "out": str(arguments.out),
        "label_before": labels[0],
        "label_after": labels[1],
        "linf": (after - before).abs().max().item() * 255,
        "l2": (after - before).norm().item(),
        "seconds": seconds,
    }
    if arguments.json:
        print_json("attack", record)
    else:
        print(f"{arguments.out}: {labels[0]} → {labels[1]}, ℓ∞ {record['linf']:.2f}/255, ℓ2 {record['l2']:.2f}")
    return 0
