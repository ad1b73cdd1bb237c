"""Record what the networks answer to the validation scans, clean, attacked and benignly changed, before any threshold.

    python -m training.measure.answers --data br35h.npz
    python -m training.measure.answers --data br35h.npz --only "pgd 8/255" --only "motion 2"
    python -m training.measure.answers --data br35h.npz tcga-lgg.npz cheng.npz --per-site 300

Thresholds, tables and the Detect page are all made of these answers. A condition that was recorded with the weights of
today on the same scans and with the same seed is not measured again, and one that was cut off goes on where it stopped.
"""

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from tqdm import tqdm

from core.attacks import CORRUPTIONS, AttackSettings
from core.bundles import Bundle, load_bundle, policy_of
from core.bundles.calibration import LADDER, Responses, benign_changes, spared_changes
from core.bundles.policies import HARDENED
from core.evaluation.datasets import Dataset, image_digest
from core.evaluation.evaluation import weights_record
from core.evaluation.journal import fingerprint
from core.evaluation.responses import CLEAN, Notebook, collect_all
from training.conditions import condition_name
from training.files import read_facts, write_facts
from training.options import bundle_options
from training.recipes.data import measured_collections, validation_scans

NOTEBOOKS = Path("build/answers")

FURTHER = (
    *(AttackSettings("pgd", eps=eps) for eps in (0.5, 1, 16)),
    *(AttackSettings(name, eps=eps) for name in ("fgsm", "cw", "deepfool") for eps in (2, 4, 8)),
)


def main() -> None:
    parser = bundle_options(__doc__)
    parser.add_argument("--only", action="append", metavar="CONDITION", help="by its name, such as 'pgd 8/255'")
    classifiers_option(parser)
    options = parser.parse_args()
    known = conditions(load_bundle(options.bundle).channels)
    chosen = [settings for settings in known if not options.only or condition_name(settings) in options.only]
    record_answers(options, chosen, options.classifier)


def needed(channels: int) -> list[AttackSettings]:
    """Return the conditions that thresholds for images of so many channels are made of."""
    attacks = [AttackSettings("pgd", eps=eps) for eps, _ in LADDER]
    benign = spared_changes(benign_changes(channels))
    return [CLEAN, *attacks, *(AttackSettings(name, severity=severity) for name, severity in benign)]


def conditions(channels: int) -> list[AttackSettings]:
    """Return all conditions that the tables are made of, for images of so many channels."""
    return [*needed(channels), *FURTHER]


def classifiers_option(parser: argparse.ArgumentParser) -> None:
    """Add which classifiers are asked; the mixtures cost as much again each, so that nobody is asked by the way."""
    words = "which are asked (default: the bundle's default one and all that have thresholds)"
    parser.add_argument("--classifier", action="append", default=[], metavar="NAME", help=words)


def record_answers(
    options: argparse.Namespace, wanted: Sequence[AttackSettings], classifiers: Sequence[str] = ()
) -> None:
    """Measure what isn't known yet, and write it into the bundle condition by condition.

    Asked are the classifiers named, or the default one and all that have thresholds. Others than the default one are
    asked for what their thresholds need and no more.
    """
    bundle = load_bundle(options.bundle)
    names = [bundle.classifier_name(name) for name in classifiers]
    names = names or list(dict.fromkeys([bundle.default_classifier, *bundle.limits]))
    val = validation_scans(measured_collections(bundle, options), options)
    digests = [image_digest(pixels) for pixels in val.pixels]
    for settings in wanted:
        named = names if settings not in FURTHER else [name for name in names if name == bundle.default_classifier]
        asked = [name for name in named if not is_recorded(bundle, name, settings, digests, options.seed)]
        if settings.method and settings.method not in CORRUPTIONS:
            for name in asked:  # each is attacked on its own
                keep(options, bundle, [name], settings, val)
        elif asked:
            keep(options, bundle, asked, settings, val)


def is_recorded(bundle: Bundle, classifier: str, settings: AttackSettings, digests: Sequence[str], seed: int) -> bool:
    """Return whether the bundle holds this condition's answers to these scans, of today's weights and this seed."""
    known, name = bundle.calibrations.get(classifier), condition_name(settings)
    if known is None or known.digests != list(digests) or name not in known.conditions:
        return False
    made_with = read_facts(bundle.folder).get("answers", {}).get(classifier, {}).get(name)
    return made_with == made_of(weights_digest(bundle, classifier), seed)


def made_of(weights: str, seed: int) -> str:
    """Return what bundle.json notes beside an answer: the digest of the weights, and the seed where it isn't 0."""
    return f"{weights} seed {seed}" if seed else weights


def check_recorded(bundle: Bundle, val: Dataset, seed: int) -> None:
    """SystemExit, one sentence, where the recorded answers are to other scans than these, or of another seed."""
    name = bundle.default_classifier
    known = bundle.calibrations.get(name)
    noted = read_facts(bundle.folder).get("answers", {}).get(name, {}).values()
    seeds = {made_with.partition(" seed ")[2] or "0" for made_with in noted}
    if known is None or known.digests != [image_digest(pixels) for pixels in val.pixels] or seeds != {str(seed)}:
        raise SystemExit(
            f"What is recorded of {bundle.name} is of other scans or of another seed; give --data, --per-site and "
            "--seed as they were, or measure again, without --recorded."
        )


def drop_stale(bundle: Bundle) -> None:
    """Remove the answers that other weights than today's gave, so that no limits are made of them."""
    folder, facts = bundle.folder, read_facts(bundle.folder)
    path = folder / facts["calibration"]
    answers = json.loads(path.read_text(encoding="utf-8"))
    for classifier, entry in answers.items():
        made_with = facts.get("answers", {}).get(classifier, {})
        today = weights_digest(bundle, classifier) if classifier in bundle.classifiers else None
        weights = {name: made_with.get(name, "").partition(" seed ")[0] for name in entry["conditions"]}
        stale = [name for name, then in weights.items() if then != today]
        for name in stale:
            del entry["conditions"][name]
            made_with.pop(name, None)
    answers = {classifier: entry for classifier, entry in answers.items() if entry["conditions"]}
    path.write_text(json.dumps(answers), encoding="utf-8")
    write_facts(folder, facts | {"answers": {name: facts["answers"][name] for name in answers}})


def weights_digest(bundle: Bundle, classifier: str) -> str:
    """Return one SHA-256 over what is recorded of an answer, and those of everything trained that it depends on."""
    made_of = {"weights": weights_record(bundle, classifier), "fields": [field.name for field in fields(Responses)]}
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def keep(
    options: argparse.Namespace, bundle: Bundle, classifiers: Sequence[str], settings: AttackSettings, val: Dataset
) -> None:
    """Measure one condition, and write it into calibration.json and the list of what it was made with."""
    name = condition_name(settings)
    NOTEBOOKS.mkdir(parents=True, exist_ok=True)
    run = {"settings": asdict(settings), "seed": options.seed, "data": val.sha256, "per_site": options.per_site}
    weights = {classifier: weights_digest(bundle, classifier) for classifier in classifiers}
    notebooks = {
        classifier: Notebook(
            notebook_path(f"{options.bundle}-{classifier}-{name}", run | {"weights": made_with}),
            run | {"weights": made_with},
        )
        for classifier, made_with in weights.items()
    }
    with tqdm(total=len(val), desc=f"{name} ({', '.join(classifiers)})", unit="image", disable=None) as bar:
        responses = collect_all(val, bundle, notebooks, settings, seed=options.seed, progress=bar.update)
    folder = bundle.folder
    facts = read_facts(folder)
    path = folder / facts["calibration"]
    answers = json.loads(path.read_text(encoding="utf-8"))
    for classifier, found in responses.items():
        entry = entry_of(answers.get(classifier, {}), val)
        if policy_of(bundle, classifier) == HARDENED:
            entry["purifies"] = False
        answers[classifier] = entry
        entry.setdefault("conditions", {})[name] = asdict(found)
        facts.setdefault("answers", {}).setdefault(classifier, {})[name] = made_of(weights[classifier], options.seed)
    path.write_text(json.dumps(answers), encoding="utf-8")
    write_facts(folder, facts)


def entry_of(earlier: Mapping[str, Any], val: Dataset) -> dict[str, Any]:
    """Return a classifier's entry of calibration.json for these scans; answers to others are dropped."""
    digests = [image_digest(pixels) for pixels in val.pixels]
    entry = dict(earlier) if earlier.get("digests") == digests else {}
    entry |= {"groups": list(val.groups), "digests": digests, "labels": val.labels.tolist()}
    origins = {"sites": list(val.sites), "sequences": list(val.sequences)}
    return entry | {name: column for name, column in origins.items() if column}


def notebook_path(title: str, run: Mapping[str, Any]) -> Path:
    """Return the file for the answers of one run: another one's, with other weights or other data, stay in theirs."""
    return NOTEBOOKS / f"{title.replace('/', '-')}-{fingerprint(run)[:8]}.jsonl"


if __name__ == "__main__":
    main()
