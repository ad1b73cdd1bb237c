"""A faults.json with invented figures, for tests of what the Faults page shows of a real one."""

import json
from pathlib import Path

from core import Bundle
from core.bundles import classifier_sha256
from core.faults import FORMATS
from core.faults.record import FILE
from core.faults.view import layers

COMMAND = "python -m training.measure.faults --data invented.npz"


def write_record(
    bundle: Bundle,
    folder: Path,
    classifiers: dict[str, float],
    made_with: str | None = None,
    commands: dict[str, str] | None = None,
) -> None:
    """Record every study of these classifiers, each with how fast its accuracy falls; `made_with` other weights.

    commands: of those that were not measured by `COMMAND`.
    """
    entries = {name: _entries(bundle, name, slope, made_with) for name, slope in classifiers.items()}
    for name, command in (commands or {}).items():
        entries[name] = {study: entry | {"command": command} for study, entry in entries[name].items()}
    (folder / bundle.name).mkdir(parents=True, exist_ok=True)
    (folder / bundle.name / FILE).write_text(json.dumps(entries))


def outcome(accuracy: float | None, trials: int = 20, **more: float) -> dict:
    """The part that all rows share."""
    interval = None if accuracy is None else [max(0.0, accuracy - 0.04), min(1.0, accuracy + 0.04)]
    changed = 0.0 if accuracy is None else 1 - accuracy
    return {
        "trials": trials, "accuracy": accuracy, "interval": interval, "worst": accuracy, "label_changes": changed,
        "non_finite": changed / 2, **more,
    }  # fmt: skip


def _entries(bundle: Bundle, classifier: str, slope: float, made_with: str | None) -> dict:
    rows = {
        "flips": [{"flips": flips} | outcome(1 - slope * flips) for flips in (0, 1, 2, 4, 8, 16)],
        "layers": [
            {"name": layer.name, "level": "stage", "elements": layer.elements, "flips": 16}
            | outcome(1 - slope * 16 / (1 + place))
            for place, layer in enumerate(layers(bundle.classifiers[classifier]))
        ],
        "bits": [
            {"form": form, "bit": bit, "field": layout.field(bit)} | outcome(0.5 if bit == layout.bits - 2 else 0.98)
            for form, layout in FORMATS.items()
            for bit in range(layout.bits)
        ],
        "activations": [
            {"stage": layer.name, "elements": 100} | outcome(0.9)
            for layer in layers(bundle.classifiers[classifier])
        ],
        "worst_case": [_worst(silent, index) for silent in (False, True) for index in range(2)],
        "guard": [
            {"damage": damage, "flips": flips, "guard": guard}
            | outcome({"off": 0.6, "detect": None, "repair": 0.98}[guard], alarms=1.0, refused=float(guard == "detect"))
            for guard in ("off", "detect", "repair")
            for damage, flips in (("weights", 1), ("worst case", 3))
        ],
        "clean_runs": [{"scans": "validation scans, augmented", "runs": 1000, "weight_alarms": 0, "range_alarms": 0}],
        "cost": [
            {
                "threads": 1, "load": 0.1, "bytes": 6100, "weight_bytes": 11_000_000, "check_ms": 2.1,
                "ranges_ms": 0.4, "repair_ms": 4.2, "patrol_scans": 1, "budget_ms": 5.0,
            }
        ],
        "attacks": [{"method": "none", "eps": 0, "steps": 0, "accuracy": 0.98, "interval": [0.95, 1.0]}],
        "corruptions": [
            {"name": name, "severity": step, "accuracy": 1 - slope * 4 * step, "interval": [0.1, 1.0]}
            for name in ("patchdrop", "gaussian-noise", "defocus-blur")
            for step in (1, 2, 3, 4, 5)
        ],
        "map": [
            {"flips": flips, "eps": eps} | outcome(max(0.0, 1 - slope * flips - eps / 16))
            for flips in (0, 1, 4, 16)
            for eps in (0, 1, 2, 4, 8)
        ],
    }  # fmt: skip
    if experts := bundle.experts(classifier):
        rows["experts"] = [
            {"expert": expert.name, "training": expert.training, "flips": flips} | outcome(1 - slope * flips * 2)
            for expert in experts
            for flips in (0, 1, 16)
        ]
    facts = {"made_with": made_with or classifier_sha256(bundle, classifier), "command": COMMAND, "n": 64, "seed": 0}
    return {study: facts | {"rows": found} for study, found in rows.items()}


def _worst(silent: bool, index: int) -> dict:
    return {
        "silent": silent, "index": index, "tensor": "network.fc.bias", "element": 1, "bit": 30 - index,
        "form": "float32", "field": "exponent", "accuracy": 0.5 - 0.1 * index, "loss": 12.0, "tried": 96,
        "seconds": 3.5, "detected": True, "repaired": True,
    }  # fmt: skip
