"""Measure how a bundle holds against attackers who know its defence, read in four ways; into results.json.

    python -m training.measure.white_box --data br35h.npz tcga-lgg.npz cheng.npz
    python -m training.measure.white_box --data br35h.npz tcga-lgg.npz cheng.npz --steps 200 --eot 20 --only "pgd linf"
    python -m training.measure.white_box --data br35h.npz tcga-lgg.npz cheng.npz --policy hardened --only "exact linf"
    python -m training.measure.white_box --data br35h.npz --per-site 20 --out rows.json    results.json stays as it is
    python -m training.measure.white_box --data br35h.npz --per-site 20 --take rows.json   what another one measured

100 validation scans, as many of each site as of another; `--limit` and `--per-site` ask for others. What was measured
with the weights of today on the same scans isn't measured again, a row stands in the file as soon as it is whole, and
one that was cut off goes on where it stopped. On a GPU, where batches hold 128 scans and the networks are in bfloat16
and channels_last by themselves, ten minutes are well spent on the rows that carry the claim, first things first:

    timeout 570 python -m training.measure.white_box --data … --only "exact linf" --only transfer --out $OUT/rows.json

and tried anywhere with `--limit 4 --steps 2 --eot 2 --queries 2 --out trial.json`.
"""

import argparse
import math
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from core import compute
from core.attacks import ATTACKS, AttackSettings
from core.bundles import POLICIES, Bundle, classifier_under, load_bundle
from core.bundles.policies import CLINICAL
from core.evaluation.datasets import Dataset, image_digest
from core.evaluation.evaluation import own_limits
from core.evaluation.journal import fingerprint
from core.evaluation.selection import spread_evenly
from core.evaluation.white_box.protocol import attack_and_read, run_record
from core.evaluation.white_box.record import key_of, made_with_today, settings_of
from core.evaluation.white_box.sanity import UNBOUNDED
from training.conditions import condition_title
from training.files import read_json, read_results, write_json, write_results
from training.measure.answers import NOTEBOOKS, notebook_path
from training.options import bundle_options, data_words
from training.recipes.data import measured_collections, validation_scans

BALLS = (("linf", 8), ("linf", 4), ("l2", 1), ("l1", 12))
FEW = 4  # times fewer steps, for the test that more steps are never weaker
GRADIENT, SHRINKING = ("pgd", "bpda", "low-frequency"), ("detector-aware", "orthogonal", "feature-hiding")


@dataclass(frozen=True)
class Row:
    """One attacker, and the words by which --only knows it."""

    attack: AttackSettings
    name: str


def main() -> None:
    parser = bundle_options(__doc__)
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="so many scans in all (default 100)")
    parser.add_argument("--steps", type=int, default=40, help="of each gradient attack (default 40)")
    parser.add_argument("--eot", type=int, default=5, help="calls that a gradient is averaged over (default 5)")
    parser.add_argument("--queries", type=int, default=1000, help="of Square and RayS (default 1000)")
    parser.add_argument(
        "--only", action="append", metavar="ROW", help="the row of this name, or all that hold these words"
    )
    parser.add_argument("--policy", choices=POLICIES, default=CLINICAL, help=f"whose defence (default {CLINICAL})")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write here and not into the bundle's results.json")
    parser.add_argument("--take", type=Path, metavar="FILE", help="add the rows of such a file, and measure nothing")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    data = white_box_scans(measured_collections(bundle, options), options)
    rows = [] if options.take else chosen_rows(options)
    if not rows and not options.take:
        parser.error(f"--only names no row; there are: {', '.join(row.name for row in all_rows(options))}")
    record_white_box(data, bundle, rows, options)


def white_box_scans(data: Dataset, options: argparse.Namespace) -> Dataset:
    """Return the fixed scans: of the validation scans as many of each site as of another."""
    return spread_evenly(validation_scans(data, options), options.limit, options.seed)


def all_rows(options: argparse.Namespace) -> Iterator[Row]:
    """Yield every attacker at the budget that was asked for; what carries the claim comes first."""
    few = {"steps": max(1, options.steps // FEW), "eot": 1}
    yield Row(AttackSettings(), "no attack")
    yield row("exact", "pgd", "linf", UNBOUNDED, steps=options.steps, eot=options.eot)
    for norm, eps in BALLS:
        yield row("exact", "pgd", norm, eps, steps=options.steps, eot=options.eot)
        yield row("exact few", "pgd", norm, eps, **few)
        yield row("transfer", "pgd", norm, eps, steps=options.steps, white_box=False)
    for norm, eps in BALLS:
        for method in GRADIENT[1:]:
            yield row("other", method, norm, eps, steps=options.steps, eot=options.eot)
            yield row("other few", method, norm, eps, **few)
        for method in SHRINKING:
            yield row("detector", method, norm, eps, steps=options.steps, white_box=False)
            yield row("detector few", method, norm, eps, white_box=False, **few)
        if norm in ATTACKS["autoattack-rand"].norms:
            yield row("exact", "autoattack-rand", norm, eps, steps=options.steps, eot=options.eot)
            yield row("exact few", "autoattack-rand", norm, eps, **few)
    for norm, eps in BALLS:
        for method in ("square", "rays"):
            if norm in ATTACKS[method].norms:
                yield row("query", method, norm, eps, steps=options.queries)


def row(kind: str, method: str, norm: str, eps: float, *, white_box: bool = True, **budget: int) -> Row:
    """Return one attacker in one ball."""
    attack = AttackSettings(method, eps=eps, norm=norm, white_box=white_box, **budget)
    return Row(attack, f"{kind} {method} {norm} {eps:g}")


def chosen_rows(options: argparse.Namespace) -> list[Row]:
    """Return the rows that --only names, in its order; all of them without it.

    A whole name means that row alone, although another's may hold the same words: so `row_command` measures one.
    """
    every = list(all_rows(options))
    named = {row.name: row for row in every}
    found = []
    for words in options.only or [""]:
        holding = [row for row in every if set(words.split()) <= set(row.name.split())]
        found += [named[words]] if words in named else holding
    return list(dict.fromkeys(found))


def record_white_box(data: Dataset, bundle: Bundle, rows: Sequence[Row], options: argparse.Namespace) -> None:
    """Measure rows into a file, each as soon as it is whole; what stands there, made with today's weights, stays.

    SystemExit, one sentence, where results.json would lose rows of other scans or another seed, or --take has no row.
    """
    name, key = classifier_under(bundle, options.policy), key_of(options.policy)
    scans = {
        "digests": [image_digest(pixels) for pixels in data.pixels],
        "groups": list(data.groups),
        "sites": list(data.sites or data.collections),
    }
    if not options.out:
        check_same_scans(read_results(bundle.folder).get(key, {}), scans["digests"], options)
    limits = own_limits(data, bundle, name)

    def made_with(attack: AttackSettings) -> str:
        run = run_record(data, bundle, name, attack, options.seed, limits)
        return fingerprint({key: value for key, value in run.items() if key != "precision"})

    known = {}
    for path in (options.take, options.out, None):
        if path or not options.out:
            earlier = (read_json(path) if path else read_results(bundle.folder)).get(key, {})
            of_today = [each for each in earlier.get("rows", []) if each["made_with"] == made_with(settings_of(each))]
            if path and path == options.take and not of_today:
                raise SystemExit(
                    f"{path} holds no row that was measured with the weights and limits of today on these scans; give "
                    "the --data, --per-site, --limit and --seed that it was measured with, or measure it again."
                )
            known = {row_key(each): each for each in of_today} | known

    about = {"classifier": name, "seed": options.seed, "made_with": made_with_today(bundle, name), "scans": scans}

    def write() -> None:
        record = {key: about | {"rows": list(known.values())}}
        if options.out:
            write_json(options.out, read_json(options.out) | record)
        else:
            write_results(bundle.folder, record)

    write()
    for row in rows:
        fresh = {"name": row.name, "attack": asdict(row.attack), "made_with": made_with(row.attack)}
        if row_key(fresh) not in known:
            known[row_key(fresh)] = fresh | measure(row, data, bundle, options)
            write()


def check_same_scans(standing: Mapping[str, Any], digests: Sequence[str], options: argparse.Namespace) -> None:
    """SystemExit, one sentence, where the rows in results.json are of other scans or another seed."""
    asked = list(digests), options.seed
    if standing.get("rows") and (standing["scans"]["digests"], standing["seed"]) != asked:
        raise SystemExit(
            f"The results.json of {options.bundle} holds white-box rows of other scans or another seed, which this "
            "would replace; give --out FILE to leave them as they are, or delete its entry "
            f"{key_of(options.policy)!r} first."
        )


def measure(row: Row, data: Dataset, bundle: Bundle, options: argparse.Namespace) -> dict[str, Any]:
    """Return what one attacker's row says, measured now."""
    name = classifier_under(bundle, options.policy)
    limits = own_limits(data, bundle, name)
    folder = options.out.parent / "answers" if options.out else NOTEBOOKS
    folder.mkdir(parents=True, exist_ok=True)
    run = run_record(data, bundle, name, row.attack, options.seed, limits)
    journal = folder / notebook_path(f"{bundle.name}-white-box-{row.name.replace(' ', '-')}", run).name
    start = time.perf_counter()
    with tqdm(total=len(data), desc=row.name, unit="scan", disable=None) as bar:
        report = attack_and_read(
            data, bundle, row.attack, classifier=name, seed=options.seed, resume=journal, progress=bar.update
        )
    return {
        "title": condition_title(row.attack),
        "command": row_command(row, options),
        "device": compute.device().type,
        "precision": str(compute.fast_dtype()).removeprefix("torch."),
        "minutes": math.ceil((time.perf_counter() - start) / 6) / 10,
        **report,
    }


def row_command(row: Row, options: argparse.Namespace) -> str:
    """Return the command that measures one row on its own."""
    words = ["python", "-m", "training.measure.white_box", *data_words(options), "--limit", str(options.limit)]
    words += ["--steps", str(options.steps), "--eot", str(options.eot), "--queries", str(options.queries)]
    words += ["--bundle", options.bundle] if options.bundle != "brain-mri" else []
    words += ["--policy", options.policy] if options.policy != CLINICAL else []
    words += ["--seed", str(options.seed)] if options.seed else []
    return shlex.join([*words, "--only", row.name])


def row_key(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what tells a recorded row from another: the attacker and its budget."""
    return record["name"], record["attack"]["steps"], record["attack"]["eot"]


if __name__ == "__main__":
    main()
