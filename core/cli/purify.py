"""python -m core purify: estimate the scan before the attack, as files."""

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path

from core.attacks import attackable_pixels, displayable
from core.cli.options import chosen_bundle, common_options, natural, positive
from core.cli.output import label_of, print_json, progress_bar
from core.purification.catalogue import (
    PURIFIERS,
    describe_purification,
    find_purifier,
    longest_purification,
    purifier_steps,
)
from core.purification.settings import PurifySettings
from core.purification.steps import PurifierStep
from core.scans import load_scan, write_derived_dicom, write_derived_png


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    parser = commands.add_parser("purify", parents=[common_options()])
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--method", default="adaptive", help=f"one of: {', '.join(PURIFIERS)} (default adaptive)")
    parser.add_argument("--t", type=int, help="noise level, 1 to 999 (default: the method's own)")
    parser.add_argument("--steps", type=positive, help="default: the method's own")
    parser.add_argument("--clip", type=float, default=PurifySettings.clip, help="of mae-pure and its family, in 1/255")
    parser.add_argument("--step-size", type=float, help="of mae-pure and its family, in 1/255")
    parser.add_argument("--frame", type=natural, help="which frame of a volume, from 0 (default: the middle one)")
    parser.add_argument("--frames", action="store_true", help="write the estimate of each step as a PNG too")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for purified.dcm and .png")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, command: str) -> int:
    """Purify, write, and say what came of it."""
    # Here and not above: scikit-image takes a while to load, and `examine` has no use for it.
    from core.fidelity.metrics import distance

    names = ("method", "t", "steps", "clip", "step_size")
    settings = PurifySettings(**{name: getattr(arguments, name) for name in names})
    taken = find_purifier(settings).takes
    files = _purified_files(arguments.out, Path(arguments.file))
    bundle = chosen_bundle(arguments)
    name = bundle.classifier_name(arguments.classifier)
    scan = load_scan(arguments.file)
    before = attackable_pixels(scan, bundle, arguments.frame)
    start = time.perf_counter()
    steps = []
    with progress_bar(longest_purification(settings), "step") as bar:
        for step in purifier_steps(before, bundle, settings, classifier=name, seed=arguments.seed):
            steps.append(replace(step, noisy=None, estimate=step.estimate.cpu()))
            bar.update()
    seconds = time.perf_counter() - start
    after = steps[-1].estimate
    description = describe_purification(settings, bundle, steps[0].t, arguments.seed)
    arguments.out.mkdir(exist_ok=True)
    how = {"kind": "purified", "modality": bundle.written_modality, "source": scan, "prepared": True}
    write_derived_dicom(files[0], displayable(after), description=description, **how)
    write_derived_png(files[1], displayable(after), "purified")
    if arguments.frames:
        _write_frames(arguments.out, steps)
    change = distance(before[0].numpy(), after[0].numpy())
    labels = [label_of(bundle, name, pixels) for pixels in (before, after)]
    record = {
        "file": arguments.file,
        "frame": scan.default_frame if arguments.frame is None else arguments.frame,
        "bundle": bundle.name,
        "classifier": name,
        "method": settings.method,
        "t": steps[0].t,
        "steps": len(steps),
        "clip": settings.clip if "clip" in taken else None,
        "step_size": settings.step_size if "step_size" in taken else None,
        "seed": arguments.seed,
        "out": str(arguments.out),
        "label_before": labels[0],
        "label_after": labels[1],
        "psnr": change.psnr if math.isfinite(change.psnr) else None,
        "ssim": change.ssim,
        "seconds": seconds,
    }
    if arguments.json:
        print_json("purify", record)
    else:
        print(f"{files[0]}: {labels[0]} → {labels[1]}, SSIM {change.ssim:.3f} to the input, {seconds:.2f} s")
    return 0


def _purified_files(folder: Path, scan: Path) -> tuple[Path, Path]:
    if not folder.parent.is_dir() or (folder.exists() and not folder.is_dir()):
        raise ValueError(f"--out {str(folder)!r} is no folder, nor can it be made one; name another.")
    files = folder / "purified.dcm", folder / "purified.png"
    if scan.resolve() in [file.resolve() for file in files]:
        raise ValueError("The scan itself would be overwritten; name another folder with --out.")
    return files


def _write_frames(folder: Path, steps: list[PurifierStep]) -> None:
    for step in steps:
        write_derived_png(folder / f"step-{step.index:03}.png", displayable(step.estimate), "purified")
