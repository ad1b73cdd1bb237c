"""How far MAE-Pure's family hangs on its settings (its figure 5), and what it does for another classifier (D.2).

    python -m training.measure.sensitivity --data br35h.npz tcga-lgg.npz cheng.npz --per-site 60
    python -m training.measure.sensitivity --data br35h.npz --only "maskdit-pure step_size=2"
    python -m training.measure.sensitivity --data br35h.npz --only transfer

Of the scans that slow purifiers take in `training.measure.purifiers`, unattacked and under PGD-40 at 8/255. One setting
at a time differs from the purifier's own. For D.2 the attack is on a classifier for which nothing of the family was
fine-tuned, and that one answers. A row that was measured with the weights of today is not measured again.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from core import compute
from core.bundles import Bundle, load_bundle, weights_record
from core.evaluation.datasets import Dataset
from core.evaluation.responses import batches
from core.evaluation.tradeoff import family_today, made_with_today
from core.purification.catalogue import PURIFIERS, usable_purifiers
from core.purification.settings import PurifySettings
from core.statistics import bootstrap_interval
from training.files import write_results
from training.measure.purifiers import FEW, attacked, known_rows
from training.options import bundle_options, short_command
from training.recipes.data import measured_collections, validation_scans

EPS = 8
MAE_RATES, DIT_RATES = (0.125, 0.5), (0.25, 0.75)  # the papers' own are 0.25 and 0.5
LENGTHS = (0.5, 2.0)
VARIED: dict[str, dict[str, tuple[float, ...]]] = {
    "maskdit-pure": {"step_size": LENGTHS, "rate": DIT_RATES, "steps": (10, 50)},
    "rmaskdit-pure": {"step_size": LENGTHS, "rate": DIT_RATES, "steps": (8, 30)},
    "mae-pure": {"step_size": LENGTHS, "rate": MAE_RATES, "steps": (20, 120)},
    "rmae-pure": {"step_size": LENGTHS, "rate": MAE_RATES, "steps": (20, 120)},
}
TRANSFERRED = ("none", "one-step", "mae-pure", "rmae-pure", "maskdit-pure", "rmaskdit-pure")
OTHERS = {"brain-mri": "medfedpure"}  # who answers for D.2


@dataclass(frozen=True)
class Row:
    """A purifier; what of it differs from its own, if anything does; and who answers, the default one where None."""

    method: str
    setting: str | None = None
    value: float | None = None
    classifier: str | None = None

    @property
    def name(self) -> str:
        """Such as ``maskdit-pure step_size=2`` or ``transfer rmae-pure``."""
        if self.classifier:
            return f"transfer {self.method}"
        return f"{self.method} {self.setting}={self.value:g}" if self.setting else self.method


def main() -> None:
    parser = bundle_options(__doc__)
    parser.add_argument("--only", action="append", metavar="ROW", help="rows whose name begins so")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    val = validation_scans(measured_collections(bundle, options), options)
    record_sensitivity(val, bundle, options)


def all_rows(bundle: Bundle) -> Iterator[Row]:
    """Yield what can be measured with a bundle."""
    usable, other = usable_purifiers(bundle), OTHERS.get(bundle.name)
    for method in (method for method in VARIED if method in usable):
        yield Row(method)
        for setting, values in VARIED[method].items():
            yield from (Row(method, setting, value) for value in values)
    if other in bundle.classifiers:
        yield from (Row(method, classifier=other) for method in TRANSFERRED if method in usable)


def record_sensitivity(val: Dataset, bundle: Bundle, options: argparse.Namespace) -> None:
    """Measure what isn't known, and keep it in results.json as it comes."""
    command, made_with = short_command("training.measure.sensitivity", bundle.name, options), made_with_today(bundle)
    known = known_rows(bundle, "sensitivity", made_with, command, key="name")
    data = val.limited(FEW, options.seed)
    for row in all_rows(bundle):
        wanted = not options.only or any(row.name.startswith(words) for words in options.only)
        if row.name in known or not wanted:
            continue
        classifier = bundle.classifier_name(row.classifier)
        sets = attacked(data, bundle, options.seed, classifier)
        known[row.name] = {
            "name": row.name,
            "method": row.method,
            "setting": row.setting,
            "value": row.value,
            "classifier": classifier,
            "command": f"{command} --only {row.name!r}",
            "family": family_of_row(bundle, row),
            **measure(row, data, {key: sets[key] for key in ("clean", f"attacked_{EPS}")}, bundle, options.seed),
        }
        record = {"command": command, "made_with": made_with, "n": len(data), "rows": list(known.values())}
        write_results(bundle.folder, {"sensitivity": record})


def family_of_row(bundle: Bundle, row: Row) -> dict[str, str]:
    """Return file → SHA-256 of what this row hangs on beside what all of them do."""
    own = weights_record(bundle, row.classifier) if row.classifier else {}
    return family_today(bundle, row.method) | own


def measure(row: Row, data: Dataset, sets: dict[str, Tensor], bundle: Bundle, seed: int) -> dict[str, Any]:
    """Return the shares of right answers, ``clean`` and ``attacked_8``, with their intervals."""
    network, figures = bundle.classifiers[bundle.classifier_name(row.classifier)], {"n": len(data)}
    intervals = {}
    for condition, pixels in sets.items():
        answers: list[int] = []
        for indices in tqdm(batches(len(data)), desc=f"{row.name}, {condition}", disable=None):
            estimate = purified(row, pixels[indices].to(compute.device()), bundle, seed)
            with torch.no_grad():
                answers += network(estimate).argmax(1).tolist()
        hits = np.array(answers) == data.labels.numpy()
        figures[condition] = float(hits.mean())
        intervals[condition] = list(bootstrap_interval(hits, np.array(data.groups)))
    return figures | {"intervals": intervals}


def purified(row: Row, pixels: Tensor, bundle: Bundle, seed: int) -> Tensor:
    """Return (B, C, H, W) estimates with the purifier's own settings, but for the one that the row varies."""
    purifier, usual = PURIFIERS[row.method], PurifySettings(row.method)
    how = {"t": purifier.t, "steps": purifier.steps, "clip": usual.clip, "step_size": None}
    if row.setting:
        assert row.value is not None
        how[row.setting] = int(row.value) if row.setting == "steps" else row.value
    generator = torch.Generator().manual_seed(seed)
    for step in purifier.run(pixels, bundle, **how, generator=generator, seed=seed, classifier=None):
        estimate = step.estimate
    return estimate.detach()


if __name__ == "__main__":
    main()
