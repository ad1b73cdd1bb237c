"""What `python -m core faults` measures and prints."""

import platform
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from core import compute
from core.bundles import Bundle, classifier_sha256
from core.evaluation.datasets import load_for
from core.faults.bits import FORMATS
from core.faults.campaign import Trial, campaign_summary, check_guard, measure_faults, run_campaign
from core.faults.draws import CampaignSettings
from core.faults.record import read_faults
from core.faults.samples import labelled_samples
from core.faults.sites import private_copy
from core.faults.worst_case import SearchStep, worst_case_steps


@dataclass(frozen=True)
class FaultOptions:
    """The words of the command, as it names them; `limit` counts only where there is `data`."""

    classifier: str | None = None
    flips: int = 1
    trials: int = 100
    worst_case: bool = False
    silent: bool = False
    guard: str = "off"
    kind: str = "weight"
    tensor: str | None = None
    bit: int | None = None
    format: str = "float32"
    data: Path | None = None
    limit: int = 64
    seed: int = 0

    @property
    def steps(self) -> int:
        """The most steps that a progress bar has to count."""
        return self.flips if self.worst_case else self.trials

    @property
    def campaign(self) -> CampaignSettings:
        """The same for `run_campaign`."""
        return CampaignSettings(
            self.flips, self.trials, self.kind, self.format, tensor=self.tensor, bit=self.bit, seed=self.seed
        )


class _Scans(NamedTuple):
    """pixels (N, C, H, W) in [0, 1]; labels (N,); where they come from, and the file's SHA-256 or None."""

    pixels: Tensor
    labels: Tensor
    origin: str
    sha256: str | None


def measured_faults(
    bundle: Bundle, options: FaultOptions, command: str, progress: Callable[[], object]
) -> dict[str, Any]:
    """What the flips do to a classifier, as `core.cli.schema.FAULTS` declares it.

    Parameters
    ----------
    command : str
        Recorded with the figures.
    progress : callable
        Called after every trial, or every round of the search.

    Raises
    ------
    ValueError
        An option that doesn't fit the others, the bundle or the network; one sentence.
    """
    _check(options)
    name = bundle.classifier_name(options.classifier)
    network, scans = bundle.classifiers[name], _scans(bundle, options)
    guard: dict[str, Any] = {
        "guard": options.guard,
        "weights": bundle.weights_file(name),
        "ranges": None if options.guard == "off" else read_faults(bundle, name).ranges,
    }
    start = perf_counter()
    steps = _searched(network, scans, options, progress) if options.worst_case else []
    if steps:
        trials = [measure_faults(network, scans.pixels, scans.labels, [step.fault for step in steps], **guard)]
    else:
        trials = _tried(run_campaign(network, scans.pixels, scans.labels, options.campaign, **guard), progress)
    seconds = perf_counter() - start
    return {
        "n": len(scans.labels),
        "trials": len(trials),
        "flips": len(trials[0].faults),
        "accuracy_clean": _clean_accuracy(network, scans, options),
        **_figures(trials, options),
        "guard": options.guard,
        "seconds": seconds,
        "settings": _settings(bundle, name, options, scans, command),
        **(_found(steps) if steps else {}),
    }


def faults_text(report: dict[str, Any]) -> str:
    """A report for a person, one figure a line."""
    counts = f"n = {report['n']}, trials: {report['trials']}, flips at once: {report['flips']}"
    lines = [f"{counts}, {report['seconds']:.1f} s"]
    for flip in report.get("found", ()):
        where = f"{flip['tensor']}[{flip['index']}], bit {flip['bit']} ({flip['field']})"
        lines.append(f"{where}: accuracy {flip['accuracy']:.2%} after it")
    for key in ("accuracy_clean", "accuracy_faulty", "label_changes", "non_finite"):
        lines.append(f"{key:28} {_percent(report[key])}")
    if report["interval"]:
        lines[-3] += "  [{:.2%}, {:.2%}]".format(*report["interval"])
    if report["guard"] != "off":
        lines += [f"{key:28} {_percent(report[key])}" for key in ("alarms", "refused", "repaired")]
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "      –" if share is None else f"{share:7.2%}"


def _check(options: FaultOptions) -> None:
    check_guard(options.guard)
    if options.silent and not options.worst_case:
        raise ValueError("--silent needs --worst-case.")
    if options.worst_case and (options.kind != "weight" or options.bit is not None):
        raise ValueError("--worst-case searches all bits of weights; leave --kind and --bit away.")


def _scans(bundle: Bundle, options: FaultOptions) -> _Scans:
    if options.data is None:
        return _Scans(*labelled_samples(bundle), "the bundle's sample scans", None)
    data = load_for(bundle, options.data)
    data = (data.split("val") if data.splits else data).limited(options.limit, options.seed)
    device = compute.device()
    return _Scans(data.pixels.to(device), data.labels.to(device), options.data.name, data.sha256)


def _tried(campaign: Iterable[Trial], progress: Callable[[], object]) -> list[Trial]:
    trials = []
    for trial in campaign:
        trials.append(trial)
        progress()
    return trials


def _clean_accuracy(network: nn.Module, scans: _Scans, options: FaultOptions) -> float:
    """Of the undamaged network, in the format in which the faults find it."""
    rounded = options.kind == "weight" and options.format == "bfloat16"
    accuracy = measure_faults(private_copy(network, rounded), scans.pixels, scans.labels, []).accuracy
    assert accuracy is not None  # only a guard refuses to answer
    return accuracy


def _figures(trials: list[Trial], options: FaultOptions) -> dict[str, Any]:
    summary = campaign_summary(trials)
    interval = None if options.worst_case or not summary["interval"] else list(summary["interval"])
    kept = {key: summary[key] for key in ("label_changes", "non_finite", "refused", "alarms", "repaired")}
    return {"accuracy_faulty": summary["accuracy"], "interval": interval, **kept}


def _searched(
    network: nn.Module, scans: _Scans, options: FaultOptions, progress: Callable[[], object]
) -> list[SearchStep]:
    steps = []
    for step in worst_case_steps(
        network,
        scans.pixels,
        scans.labels,
        budget=options.flips,
        silent=options.silent,
        tensor=options.tensor,
        form=options.format,
        seed=options.seed,
    ):
        steps.append(step)
        progress()
    if not steps:
        raise ValueError("The search found no bit that does any damage there; let it look in the whole network.")
    return steps


def _found(steps: list[SearchStep]) -> dict[str, Any]:
    flips = [
        {
            "tensor": step.fault.tensor,
            "index": step.fault.index,
            "bit": step.fault.bit,
            "field": FORMATS[step.fault.form].field(step.fault.bit),
            "accuracy": step.accuracy,
            "loss": step.loss,
            "tried": step.tried,
        }
        for step in steps
    ]
    return {key: flips[0][key] for key in ("tensor", "index", "bit")} | {"found": flips}


def _settings(bundle: Bundle, classifier: str, options: FaultOptions, scans: _Scans, command: str) -> dict[str, Any]:
    """Everything that is needed to run it again."""
    taken = asdict(options) | {"classifier": classifier, "data": scans.origin}
    return {
        "command": command,
        "bundle": bundle.name,
        **taken,
        "data_sha256": scans.sha256,
        "weights_sha256": classifier_sha256(bundle, classifier),
        "device": compute.device().type,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
