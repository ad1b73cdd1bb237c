"""Record what the networks answer to the validation scans, clean, attacked and benignly changed, before any threshold.

    python -m training.answers --data br35h.npz
    python -m training.answers --data br35h.npz --only "pgd 8/255" --only "motion 2"

Thresholds, tables and the Detect page are all made of these answers. A condition that was recorded with the weights of
today is not measured again, and one that was cut off goes on where it stopped.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from core.attacks import CORRUPTIONS, AttackSettings
from core.audit.datasets import Dataset, image_digest, load_dataset
from core.audit.evaluation import CLEAN, Notebook, collect, weights_record
from core.bundles import WEIGHTS, Bundle, load_bundle
from core.calibration import BENIGN, LADDER
from training.assemble import read_facts, write_facts

NOTEBOOKS = Path("build/answers")

NEEDED = (
    CLEAN,
    *(AttackSettings("pgd", eps=eps) for eps, _ in LADDER),
    *(AttackSettings(name, severity=severity) for name, severity in BENIGN),
)
CONDITIONS = (
    *NEEDED,
    *(AttackSettings("pgd", eps=eps) for eps in (0.5, 1, 16)),
    *(AttackSettings(name, eps=eps) for name in ("fgsm", "cw", "deepfool") for eps in (2, 4, 8)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", default="brain-mri")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", metavar="CONDITION", help="by its name, such as 'pgd 8/255'")
    options = parser.parse_args()
    chosen = [settings for settings in CONDITIONS if not options.only or condition_name(settings) in options.only]
    record(options, chosen)


def condition_name(settings: AttackSettings) -> str:
    """``clean``, ``pgd 8/255`` or ``motion 2``."""
    if settings.method is None:
        return "clean"
    if settings.method in CORRUPTIONS:
        return f"{settings.method} {settings.severity}"
    return f"{settings.method} {settings.eps:g}/255"


def record(options: argparse.Namespace, conditions: Sequence[AttackSettings]) -> None:
    """Measure what isn't known yet, and write it into the bundle condition by condition."""
    bundle = load_bundle(options.bundle)
    val = load_dataset(options.data, bundle.classes, bundle.resolution, bundle.channels).split("val")
    for classifier in bundle.classifiers:
        for settings in conditions:
            if not is_recorded(options.bundle, bundle, classifier, settings):
                keep(options, bundle, classifier, settings, val)


def is_recorded(name: str, bundle: Bundle, classifier: str, settings: AttackSettings) -> bool:
    """Whether the bundle holds this condition's answers, made with the weights that it has now."""
    made_with = read_facts(WEIGHTS / name).get("answers", {}).get(classifier, {}).get(condition_name(settings))
    return made_with == weights_digest(bundle)


def weights_digest(bundle: Bundle) -> str:
    """One SHA-256 over those of everything that was trained."""
    return hashlib.sha256(json.dumps(weights_record(bundle), sort_keys=True).encode()).hexdigest()


def keep(options: argparse.Namespace, bundle: Bundle, classifier: str, settings: AttackSettings, val: Dataset) -> None:
    """Measure one condition, and write it into calibration.json and the list of what it was made with."""
    name, weights = condition_name(settings), weights_digest(bundle)
    NOTEBOOKS.mkdir(parents=True, exist_ok=True)
    run = {"settings": asdict(settings), "seed": options.seed, "data": val.sha256, "weights": weights}
    notebook = Notebook(NOTEBOOKS / f"{options.bundle}-{classifier}-{name.replace('/', '-')}.jsonl", run)
    with tqdm(total=len(val), desc=name, unit="image", disable=None) as bar:
        responses = collect(
            val, bundle, classifier, settings, seed=options.seed, notebook=notebook, progress=bar.update
        )
    folder = WEIGHTS / options.bundle
    facts = read_facts(folder)
    path = folder / facts["calibration"]
    answers = json.loads(path.read_text(encoding="utf-8"))
    entry = answers.setdefault(classifier, {}) | {
        "groups": list(val.groups),
        "digests": [image_digest(pixels) for pixels in val.pixels],
        "labels": val.labels.tolist(),
    }
    entry.setdefault("conditions", {})[name] = asdict(responses)
    path.write_text(json.dumps(answers | {classifier: entry}), encoding="utf-8")
    facts.setdefault("answers", {}).setdefault(classifier, {})[name] = weights
    write_facts(folder, facts)


if __name__ == "__main__":
    main()
