"""The command line: python -m core examine | attack | purify | evaluate | faults | encrypt."""

import argparse
import json
import math
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from core import compute
from core.attacks import (
    ATTACKS,
    METHODS,
    NORMS,
    AttackSettings,
    attack_pixels,
    attackable_pixels,
    describe_attack,
    displayable,
    find_method,
    longest_run,
    sees_defence,
)
from core.bundles import Bundle, BundleError, load_bundle
from core.cli.schema import checked
from core.defence.examination import Examination
from core.defence.pipeline import examine
from core.purification.catalogue import (
    PURIFIERS,
    describe_purification,
    find_purifier,
    longest_purification,
    purifier_steps,
)
from core.purification.settings import PurifySettings
from core.purification.steps import PurifierStep
from core.scans import ScanError, load_scan, write_derived_dicom, write_derived_png

NOTICE = "Purescan is not a medical device."


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 2 where an input was bad."""
    words = list(sys.argv[1:] if words is None else words)
    arguments = _parser().parse_args(words)
    try:
        return arguments.run(arguments, shlex.join(["python", "-m", "core", *words]))
    except (ScanError, BundleError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The result can't be written: {error.strerror or error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core", description=f"Purescan's commands. {NOTICE}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--bundle", default="brain-mri", help="folder under weights/ (default brain-mri)")
    common.add_argument("--classifier", help="one of the bundle's (default: the bundle's own)")
    common.add_argument("--seed", type=_natural, default=0)
    common.add_argument("--json", action="store_true", help="print nothing but JSON")

    single = commands.add_parser("examine", parents=[common], help="decide, with the evidence")
    single.add_argument("files", nargs="+", metavar="FILE")
    single.add_argument("--frame", type=_natural, help="which frame of a volume, from 0 (default: the middle one)")
    single.set_defaults(run=_examine)

    budget = argparse.ArgumentParser(add_help=False)
    budget.add_argument("--eps", type=float, default=8, help="in 1/255 for linf, plain for l2 and l1 (default 8)")
    budget.add_argument("--norm", default="linf", choices=NORMS)
    budget.add_argument("--steps", type=_positive, help="steps, or queries (default: the attack's own, 40 for pgd)")
    budget.add_argument("--restarts", type=_positive, default=1)
    budget.add_argument("--eot", type=_positive, default=1, help="calls that a gradient is averaged over (white-box)")
    budget.add_argument("--white-box", action="store_true", help="attack the whole defence, not the classifier alone")

    attack = commands.add_parser("attack", parents=[common, budget], help="attack a scan and write it to a file")
    attack.add_argument("file", metavar="FILE")
    attack.add_argument("--method", default="pgd", help=f"one of: {', '.join(ATTACKS)} (default pgd)")
    attack.add_argument("--frame", type=_natural)
    attack.add_argument("--out", required=True, type=Path, help=".dcm or .png to write")
    attack.set_defaults(run=_attack)

    purify = commands.add_parser("purify", parents=[common], help="estimate the scan before the attack, as files")
    purify.add_argument("file", metavar="FILE")
    purify.add_argument("--method", default="adaptive", help=f"one of: {', '.join(PURIFIERS)} (default adaptive)")
    purify.add_argument("--t", type=int, help="noise level, 1 to 999 (default: the method's own)")
    purify.add_argument("--steps", type=_positive, help="default: the method's own")
    purify.add_argument("--clip", type=float, default=PurifySettings.clip, help="of mae-pure, in 1/255")
    purify.add_argument("--step-size", type=float, help="of mae-pure, in 1/255")
    purify.add_argument("--frame", type=_natural, help="which frame of a volume, from 0 (default: the middle one)")
    purify.add_argument("--frames", action="store_true", help="write the estimate of each step as a PNG too")
    purify.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for purified.dcm and .png")
    purify.set_defaults(run=_purify)

    evaluate = commands.add_parser("evaluate", parents=[common, budget], help="measure the defence over a data set")
    evaluate.add_argument("--data", required=True, type=Path, help=".npz or .zip")
    evaluate.add_argument(
        "--purifier", default="adaptive", help=f"of what is flagged; one of: {', '.join(PURIFIERS)} (default adaptive)"
    )
    evaluate.add_argument("--split", default="val", choices=("val", "all"))
    evaluate.add_argument("--attack", help=f"one of: {', '.join(METHODS)} (default: none)")
    evaluate.add_argument("--severity", type=int, default=1, choices=range(1, 6), help="of a corruption (default 1)")
    evaluate.add_argument("--limit", type=_positive, help="measure on so many images, drawn with --seed")
    evaluate.add_argument("--resume", type=Path, metavar="FILE", help="keep the answers here, and go on from them")
    evaluate.set_defaults(run=_evaluate)

    faults = commands.add_parser("faults", parents=[common], help="flip bits of a classifier's memory")
    faults.add_argument("--flips", type=int, default=1, help="bits at once; with --worst-case, at most (default 1)")
    faults.add_argument("--trials", type=int, default=100, help="default 100")
    faults.add_argument("--worst-case", action="store_true", help="search for the bits that do the most damage")
    faults.add_argument("--silent", action="store_true", help="with --worst-case: every answer must stay finite")
    faults.add_argument("--guard", default="off", help="off, detect or repair (default off)")
    faults.add_argument("--kind", default="weight", help="weight or activation (default weight)")
    faults.add_argument("--tensor", metavar="NAME", help="flip only in this tensor, module or stage")
    faults.add_argument("--bit", type=int, help="flip only this bit, 0 for the lowest")
    faults.add_argument("--format", default="float32", help="float32 or bfloat16 (default float32)")
    faults.add_argument("--data", type=Path, help=".npz or .zip; its split val (default: the bundle's sample scans)")
    faults.add_argument("--limit", type=_positive, default=64, help="of so many images, drawn with --seed (default 64)")
    faults.set_defaults(run=_faults)

    encrypt = commands.add_parser("encrypt", parents=[common], help="have a server answer that can't see the scan")
    encrypt.add_argument("file", metavar="FILE")
    encrypt.add_argument("--head", default="linear", help="linear or polynomial (default linear)")
    encrypt.add_argument("--preset", metavar="NAME", help="encryption parameters (default: those of the head)")
    encrypt.add_argument("--address", metavar="URL", help="of a server that runs (default: one is started)")
    encrypt.add_argument("--frame", type=_natural, help="which frame of a volume, from 0 (default: the middle one)")
    encrypt.set_defaults(run=_encrypt)
    return parser


def _natural(text: str) -> int:
    number = int(text) if text.isdecimal() else -1
    if not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 4294967295")
    return number


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def _examine(arguments: argparse.Namespace, command: str) -> int:
    bundle = load_bundle(arguments.bundle)
    bundle.classifier_name(arguments.classifier)
    _warn(bundle)
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


def _warn(bundle: Bundle) -> None:
    """Say once, beside the answers, what they are without."""
    if bundle.lacks:
        print(bundle.lacks, file=sys.stderr)


def examination_record(file: str, exam: Examination, classifier: str) -> dict[str, Any]:
    """An examination as `core.cli.schema.EXAMINE` declares it; what a refused scan lacks is empty.

    Where a bundle detects nothing, nothing is flagged, and `scores` and `thresholds` are empty. `stands` says that the
    scan is flagged and its own answer the decision all the same (`core.Examination.stands`).
    """
    detection = exam.detection
    answer = exam.prediction or exam.undefended
    return {
        "file": file,
        "bundle": exam.bundle,
        "classifier": classifier,
        "label": exam.label,
        "refused": exam.refused,
        "probabilities": dict(answer.probabilities) if exam.prediction else {},
        "flagged": bool(detection and detection.flagged),
        "flagged_by": list(detection.flagged_by) if detection else [],
        "scores": dict(detection.scores) if detection else {},
        "thresholds": dict(detection.thresholds) if detection else {},
        "purified": exam.purification is not None,
        "stands": exam.stands,
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


def _attack(arguments: argparse.Namespace, command: str) -> int:
    if arguments.out.suffix.lower() not in (".dcm", ".png"):
        raise ValueError(f"--out must end in .dcm or .png, not {arguments.out.suffix or 'nothing'!r}.")
    if not arguments.out.parent.is_dir():
        raise ValueError(f"There is no folder {str(arguments.out.parent)!r} to write to; make it first.")
    if arguments.out.resolve() == Path(arguments.file).resolve():
        raise ValueError("--out is the scan itself; name another file, so that the scan isn't lost.")
    settings = _settings(arguments, arguments.method)
    if arguments.method not in ATTACKS:
        raise ValueError(f"There is no attack named {arguments.method!r}; choose one of: {', '.join(ATTACKS)}.")
    bundle = load_bundle(arguments.bundle, torch.float32 if sees_defence(settings) else None)
    name = bundle.classifier_name(arguments.classifier)
    scan = load_scan(arguments.file)
    before = attackable_pixels(scan, bundle, arguments.frame)
    start = time.perf_counter()
    for step in tqdm(
        attack_pixels(before, bundle, settings, classifier=name, seed=arguments.seed),
        total=longest_run(settings, len(bundle.classes)),
        unit="step",
        disable=not sys.stderr.isatty(),
    ):
        after = step.attacked.cpu()
    seconds = time.perf_counter() - start
    if arguments.out.suffix.lower() == ".dcm":
        description = describe_attack(settings, bundle, step.index + 1, classifier=name)
        how = {"kind": "attacked", "modality": bundle.written_modality, "source": scan}
        write_derived_dicom(arguments.out, displayable(after), description=description, **how)
    else:
        write_derived_png(arguments.out, displayable(after), "attacked")
    labels = [_label(bundle, name, pixels) for pixels in (before, after)]
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
        _print_json("attack", record)
    else:
        print(f"{arguments.out}: {labels[0]} → {labels[1]}, ℓ∞ {record['linf']:.2f}/255, ℓ2 {record['l2']:.2f}")
    return 0


def _purify(arguments: argparse.Namespace, command: str) -> int:
    # Here and not above: scikit-image takes a while to load, and `examine` has no use for it.
    from core.fidelity.metrics import distance

    names = ("method", "t", "steps", "clip", "step_size")
    settings = PurifySettings(**{name: getattr(arguments, name) for name in names})
    taken = find_purifier(settings).takes
    files = _purified_files(arguments.out, Path(arguments.file))
    bundle = load_bundle(arguments.bundle)
    name = bundle.classifier_name(arguments.classifier)
    scan = load_scan(arguments.file)
    before = attackable_pixels(scan, bundle, arguments.frame)
    start = time.perf_counter()
    walk = tqdm(
        purifier_steps(before, bundle, settings, classifier=name, seed=arguments.seed),
        total=longest_purification(settings),
        unit="step",
        disable=not sys.stderr.isatty(),
    )
    steps = [step._replace(noisy=None, estimate=step.estimate.cpu()) for step in walk]
    seconds = time.perf_counter() - start
    after = steps[-1].estimate
    description = describe_purification(settings, bundle, steps[0].t, arguments.seed)
    arguments.out.mkdir(exist_ok=True)
    how = {"kind": "purified", "modality": bundle.written_modality, "source": scan}
    write_derived_dicom(files[0], displayable(after), description=description, **how)
    write_derived_png(files[1], displayable(after), "purified")
    if arguments.frames:
        _write_frames(arguments.out, steps)
    change = distance(before[0].numpy(), after[0].numpy())
    labels = [_label(bundle, name, pixels) for pixels in (before, after)]
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
        _print_json("purify", record)
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


def _settings(arguments: argparse.Namespace, method: str | None) -> AttackSettings:
    names = ("eps", "norm", "steps", "restarts", "eot", "white_box")
    severity = getattr(arguments, "severity", 1)
    return AttackSettings(method, severity=severity, **{name: getattr(arguments, name) for name in names})


def _label(bundle: Bundle, classifier: str, pixels: torch.Tensor) -> str:
    with torch.no_grad():
        return bundle.classes[bundle.classifiers[classifier](pixels.to(compute.device())).argmax(1).item()]


def _evaluate(arguments: argparse.Namespace, command: str) -> int:
    # Here and not above: scikit-learn takes a second to load, and `examine` has no use for it.
    from core.evaluation.datasets import load_for
    from core.evaluation.evaluation import evaluate, settings_record

    attack = _settings(arguments, arguments.attack)
    if attack.method:
        find_method(attack)
    elif attack.white_box:
        raise ValueError("--white-box needs --attack.")
    purifier = PurifySettings(arguments.purifier)
    find_purifier(purifier)
    bundle = load_bundle(arguments.bundle)
    _warn(bundle)
    data = load_for(bundle, arguments.data)
    data = data.split("val") if arguments.split == "val" else data
    data = data.limited(arguments.limit, arguments.seed)
    passes = 2 if arguments.attack else 1
    with tqdm(total=passes * len(data), unit="image", disable=not sys.stderr.isatty()) as bar:
        report = evaluate(
            data,
            bundle,
            classifier=arguments.classifier,
            attack=attack,
            purifier=purifier,
            seed=arguments.seed,
            resume=arguments.resume,
            progress=bar.update,
        )
    report["settings"] = settings_record(
        data, bundle, arguments.classifier, attack, arguments.split, arguments.seed, command, purifier
    )
    if arguments.json:
        _print_json("evaluate", report)
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
    return "\n".join(lines)


def _faults(arguments: argparse.Namespace, command: str) -> int:
    # Here and not above: `examine` has no use for it.
    from core.cli.faults import FaultOptions, faults_text, measured_faults

    names = [field.name for field in fields(FaultOptions)]
    options = FaultOptions(**{name: getattr(arguments, name) for name in names})
    bundle = load_bundle(arguments.bundle)
    with tqdm(total=options.steps, unit="step", disable=not sys.stderr.isatty()) as bar:
        report = measured_faults(bundle, options, command, bar.update)
    if arguments.json:
        _print_json("faults", report)
    else:
        print(faults_text(report))
    return 0


def _encrypt(arguments: argparse.Namespace, command: str) -> int:
    # Here and not above: `examine` has no use for it.
    from core.cli.encrypt import EncryptOptions, encrypted_answer, encrypted_text
    from core.encryption.prediction import STAGES

    names = [field.name for field in fields(EncryptOptions)]
    options = EncryptOptions(**{name: getattr(arguments, name) for name in names})
    bundle = load_bundle(arguments.bundle)
    pixels = attackable_pixels(load_scan(arguments.file), bundle, arguments.frame)
    with tqdm(total=len(STAGES), unit="stage", disable=not sys.stderr.isatty()) as bar:
        record = encrypted_answer(bundle, pixels, options, bar.update)
    if arguments.json:
        _print_json("encrypt", record)
    else:
        print(encrypted_text(record))
    return 0


def _print_json(command: str, answer: Any) -> None:
    print(json.dumps(checked(command, answer), indent=1, ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(main())
