"""Measure every figure of the README and of the bundle card again, and rewrite them.

    python -m training.tables --data br35h.npz
    python -m training.tables --data br35h.npz --resume      only the rows that an earlier run did not come to

Each row is one `python -m core evaluate` command, which the table names. The clean answers are made once and shared.
"""

import argparse
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from core.audit.datasets import Dataset, load_dataset
from core.audit.evaluation import Answers, AttackSettings, answer_clean, evaluate, settings_record
from core.audit.timing import machine, measure_timings
from core.bundles import WEIGHTS, Bundle, load_bundle

ROOT = Path(__file__).resolve().parent.parent
START, END = "<!-- tables: start -->", "<!-- tables: end -->"


@dataclass(frozen=True)
class Row:
    """One evaluation: what the table calls it, how the attacker works, and on how many images (None: all)."""

    title: str
    attack: AttackSettings
    limit: int | None = None


ROWS = (
    *(Row(f"PGD-40, {eps}/255", AttackSettings("pgd", eps=eps)) for eps in (2, 4, 8)),
    *(Row(f"FGSM, {eps}/255", AttackSettings("fgsm", eps=eps)) for eps in (2, 4, 8)),
    Row("Gaussian noise, σ = .01", AttackSettings("gaussian-noise", severity=1)),
    Row("Gaussian blur, σ = .75 px", AttackSettings("gaussian-blur", severity=2)),
    Row("gamma .8", AttackSettings("gamma", severity=2)),
    Row("rotation by 5°", AttackSettings("rotation", severity=2)),
    *(Row(f"white-box PGD-20, EOT 2, {eps}/255", AttackSettings("pgd", eps=eps, steps=20, eot=2, white_box=True), 20)
      for eps in (4, 8)),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", default="brain-mri")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="keep the rows that results.json already holds")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    results = WEIGHTS / bundle.name / "results.json"
    rows = kept_rows(results, bundle) if options.resume else []
    record = {"command": f"make tables DATA={options.data.name}", "rows": rows, "machine": machine()}
    record["timings"] = measure_timings(bundle)
    for row in measured_rows(bundle, options, {row["title"] for row in rows}):
        record["rows"].append(row)
        write_results(results, record)
    write_results(results, record)
    text = tables_text(record)
    for page in (ROOT / "README.md", results.with_name("CARD.md")):
        rewrite(page, text)


def kept_rows(results: Path, bundle: Bundle) -> list[dict[str, Any]]:
    """The rows of an earlier run that were measured with the weights and thresholds of today."""
    if not results.is_file():
        return []
    rows = json.loads(results.read_text(encoding="utf-8"))["rows"]
    return [row for row in rows if row["report"]["settings"]["weights_sha256"] == dict(bundle.hashes)]


def write_results(results: Path, record: dict[str, Any]) -> None:
    """Write results.json."""
    results.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def measured_rows(bundle: Bundle, options: argparse.Namespace, known: set[str]) -> Iterator[dict[str, Any]]:
    """Every row of `ROWS` whose title isn't known yet."""
    missing = [row for row in ROWS if row.title not in known]
    exact = load_bundle(options.bundle, torch.float32)
    data = load_dataset(options.data, bundle.classes, bundle.resolution, bundle.channels).split("val")
    clean = None
    for row in missing:
        if clean is None and not row.limit:
            with tqdm(total=len(data), desc="clean", unit="image", disable=None) as bar:
                clean = answer_clean(data, bundle, seed=options.seed, progress=bar.update)
        yield measure(row, data, bundle, exact, clean, options)


def measure(
    row: Row, data: Dataset, bundle: Bundle, exact: Bundle, clean: Answers | None, options: argparse.Namespace
) -> dict[str, Any]:
    """One row: its title and the report of its evaluation."""
    chosen, known = data, clean
    if row.limit:
        chosen, known = data.limited(row.limit, options.seed), None
    total = len(chosen) * (1 if known else 2)
    with tqdm(total=total, desc=row.title, unit="image", disable=None) as bar:
        report = evaluate(
            chosen,
            bundle,
            attack=row.attack,
            attack_bundle=exact if row.attack.white_box else None,
            seed=options.seed,
            clean=known,
            progress=bar.update,
        )
    command = row_command(row, options)
    settings = settings_record(chosen, bundle, None, row.attack, "val", options.seed, command)
    return {"title": row.title, "report": report | {"settings": settings}}


def row_command(row: Row, options: argparse.Namespace) -> str:
    """The command that measures one row on its own."""
    words = ["python", "-m", "core", "evaluate", "--data", options.data.name, "--attack", row.attack.method]
    plain = AttackSettings(row.attack.method)
    for option in ("eps", "norm", "steps", "restarts", "eot", "severity"):
        if getattr(row.attack, option) != getattr(plain, option):
            words += [f"--{option}", str(getattr(row.attack, option))]
    words += ["--white-box"] if row.attack.white_box else []
    words += ["--limit", str(row.limit)] if row.limit else []
    words += ["--seed", str(options.seed)] if options.seed else []
    words += ["--bundle", options.bundle] if options.bundle != "brain-mri" else []
    return shlex.join(words)


def tables_text(record: dict[str, Any]) -> str:
    """The tables as Markdown."""
    first = record["rows"][0]["report"]
    lines = [
        f"Br35H validation scans, n = {first['n']}; 95 % intervals by bootstrap over near-duplicate groups; thresholds "
        "cross-fitted over groups; attacker knows the classifier and not the defence, unless the row says white-box. "
        f"All of it by `{record['command']}`.",
        "",
        f"Without an attack: undefended {share(first, 'clean_accuracy')}, "
        f"defended {share(first, 'defended_clean_accuracy')}; false alarms {share(first, 'flagged_clean')}; "
        f"refused {first['refused']} of {first['n']}.",
        "",
        "| attack | n | undefended | defended | flagged | AUC `mae_error` | `amv` | `instability` | SSIM | command |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [row_text(row) for row in record["rows"]]
    lines += ["", f"| {record['machine']} | median |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in record["timings"].items()]
    lines += [
        "",
        "SSIM is between the purified estimates and the scans before the attack. AUC is over all attacked scans "
        "against the clean ones. A refusal counts as a wrong answer.",
    ]
    return "\n".join(lines)


def row_text(row: dict[str, Any]) -> str:
    """One row of the attack table."""
    report = row["report"]
    scores = [area(report["detection"][name]) for name in ("mae_error", "amv", "instability")]
    ssim = "–" if report["ssim_purified"] is None else f"{report['ssim_purified']:.3f}"
    cells = [
        row["title"],
        str(report["n"]),
        share(report, "attacked_accuracy"),
        share(report, "defended_attacked_accuracy"),
        share(report, "flagged_attacked"),
        *scores,
        ssim,
        f"`{report['settings']['command'].removeprefix('python -m core ')}`",
    ]
    return f"| {' | '.join(cells)} |"


def area(figures: dict[str, Any]) -> str:
    """An AUC with its interval."""
    low, high = figures["auc_interval"]
    return f"{figures['auc']:.3f} ({low:.3f}–{high:.3f})"


def share(report: dict[str, Any], name: str) -> str:
    """A share in percent with its interval."""
    low, high = report["intervals"][name]
    return f"{100 * report[name]:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def rewrite(page: Path, text: str) -> None:
    """Replace what stands between the two marks of a page."""
    before, rest = page.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    page.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
