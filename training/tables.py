"""Measure every figure of the README and of the bundle card again, and rewrite them.

    python -m training.tables --data br35h.npz
    python -m training.tables --data br35h.npz --recorded      only the timings; the rest from what was measured so far

Each row is one `python -m core evaluate` command, which the table names. Answers that were recorded with the weights of
today (`training.answers`) are not measured again, nor are the rows of slow attackers, who get fewer scans.
"""

import argparse
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from core.attacks import CORRUPTIONS, METHODS, AttackSettings, longest_run, sees_defence
from core.audit.datasets import Dataset, load_dataset
from core.audit.evaluation import evaluate, own_limits, settings_record, summary, weights_record
from core.audit.timing import machine, measure_timings
from core.audit.timing_explanations import mixture_timings
from core.bundles import WEIGHTS, Bundle, load_bundle
from training.answers import CONDITIONS, NOTEBOOKS, condition_name, record
from training.calibrate import fit_bundle
from training.looks import record_looks
from training.mixture_tables import mixture_tables
from training.purifiers import compare
from training.variation import record_variation

ROOT = Path(__file__).resolve().parent.parent
START, END = "<!-- tables: start -->", "<!-- tables: end -->"


@dataclass(frozen=True)
class Row:
    """An attacker who takes long, and on how many of the validation scans."""

    attack: AttackSettings
    limit: int


QUERIES = 1000
KEPT = ("purifiers", "variation", "looks", "ablations")  # each is measured by a recipe of its own
SLOW = tuple(
    row
    for eps in (4, 8, 2)
    for row in (
        Row(AttackSettings("detector-aware", eps=eps), 20),
        Row(AttackSettings("pgd", eps=eps, steps=20, eot=4, white_box=True), 20),
        Row(AttackSettings("autoattack", eps=eps), 100),
        Row(AttackSettings("square", eps=eps, steps=QUERIES), 100),
    )
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", default="brain-mri")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recorded", action="store_true", help="measure nothing but the timings")
    options = parser.parse_args()
    folder = WEIGHTS / options.bundle
    results = folder / "results.json"
    if not options.recorded:
        record(options, CONDITIONS)
    fit_bundle(folder)
    bundle = load_bundle(options.bundle)
    earlier = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
    known = kept_rows(earlier, bundle)
    val = load_dataset(options.data, bundle.classes, bundle.resolution, bundle.channels).split("val")
    report = {"command": f"make tables DATA={options.data.name}", "machine": machine()}
    report |= {
        "timings": measure_timings(bundle) | mixture_timings(bundle),
        "rows": list(recorded_rows(bundle, val, options)),
        "slow": [],
    }
    for row in slow_rows(bundle, val, known, options):
        report["slow"].append(row)
        write(results, report)
    write(results, report)
    compare(val, bundle, options)
    record_variation(val, bundle, options)
    if not options.recorded:
        record_looks(val, bundle, options)
    report = json.loads(results.read_text(encoding="utf-8"))
    text = tables_text(report)
    rewrite(ROOT / "README.md", text)
    rewrite(results.with_name("CARD.md"), "\n".join([text, "", *mixture_tables(bundle, report)]))


def write(results: Path, report: dict[str, Any]) -> None:
    """Everything that has been measured so far; what other recipes have written meanwhile stays."""
    kept = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
    report = dict.fromkeys(KEPT, {}) | kept | report
    results.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def kept_rows(earlier: dict[str, Any], bundle: Bundle) -> dict[str, dict[str, Any]]:
    """Command → row of an earlier run that was measured with the weights and thresholds of today."""
    name = bundle.default_classifier
    today = weights_record(bundle, name), dict(bundle.limits_of(name).thresholds)
    by_command = {row["report"]["settings"]["command"]: row for row in earlier.get("slow", [])}

    def measured_with(row: dict[str, Any]) -> tuple[dict, dict]:
        settings = row["report"]["settings"]
        return settings["weights_sha256"], settings["thresholds"]

    return {command: row for command, row in by_command.items() if measured_with(row) == today}


def recorded_rows(bundle: Bundle, val: Dataset, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each condition that has been recorded, without an attack first."""
    name = bundle.default_classifier
    calibration = bundle.calibrations[name]
    limits, labels = own_limits(val, bundle, name), val.labels.numpy()
    clean = calibration.conditions["clean"]
    for attack in CONDITIONS:
        condition = condition_name(attack)
        if condition not in calibration.conditions:
            continue
        answers = calibration.conditions[condition] if attack.method else None
        report = summary(labels, val.groups, limits, clean, answers)
        command = row_command(attack, None, options)
        settings = settings_record(val, bundle, None, attack, "val", options.seed, command)
        yield {"title": title(attack), "condition": condition, "report": report | {"settings": settings}}


def slow_rows(
    bundle: Bundle, val: Dataset, known: dict[str, dict[str, Any]], options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """A row for each attacker of `SLOW`, measured here where it isn't known."""
    for row in SLOW:
        command = row_command(row.attack, row.limit, options)
        if command in known:
            yield known[command]
        elif not options.recorded:
            yield measure(row, val.limited(row.limit, options.seed), bundle, command, options)


def measure(row: Row, data: Dataset, bundle: Bundle, command: str, options: argparse.Namespace) -> dict[str, Any]:
    """One attacker's row."""
    name = condition_name(row.attack)
    NOTEBOOKS.mkdir(parents=True, exist_ok=True)
    notebook = NOTEBOOKS / f"{bundle.name}-slow-{name.replace('/', '-')}.jsonl"
    with tqdm(total=2 * len(data), desc=name, unit="image", disable=None) as bar:
        report = evaluate(
            data,
            bundle,
            attack=row.attack,
            seed=options.seed,
            resume=notebook,
            progress=bar.update,
        )
    settings = settings_record(data, bundle, None, row.attack, "val", options.seed, command)
    return {"title": title(row.attack), "condition": name, "report": report | {"settings": settings}}


def title(attack: AttackSettings) -> str:
    """What a table calls a row."""
    if attack.method is None:
        return "no attack"
    if attack.method in CORRUPTIONS:
        return f"{METHODS[attack.method].title}, severity {attack.severity}"
    steps = f"-{longest_run(attack)}" if attack.steps or attack.method == "pgd" else ""
    knowing = f" with EOT-{attack.eot} through the defence" if attack.white_box else ""
    return f"{METHODS[attack.method].title.split(' (')[0]}{steps}{knowing}, {attack.eps:g}/255"


def row_command(attack: AttackSettings, limit: int | None, options: argparse.Namespace) -> str:
    """The command that measures one row on its own."""
    words = ["python", "-m", "core", "evaluate", "--data", options.data.name]
    words += ["--attack", attack.method] if attack.method else []
    for option in ("eps", "norm", "steps", "restarts", "eot", "severity"):
        if getattr(attack, option) != getattr(AttackSettings(), option):
            words += [f"--{option}", f"{getattr(attack, option)}"]
    words += ["--white-box"] if attack.white_box else []
    words += ["--limit", str(limit)] if limit else []
    words += ["--seed", str(options.seed)] if options.seed else []
    words += ["--bundle", options.bundle] if options.bundle != "brain-mri" else []
    return shlex.join(words)


def tables_text(report: dict[str, Any]) -> str:
    """The tables as Markdown."""
    plain = report["rows"][0]["report"]
    attacks = [row for row in report["rows"][1:] if row["report"]["settings"]["attack"]["method"] not in CORRUPTIONS]
    benign = [row for row in report["rows"][1:] if row not in attacks]
    knowing = [row for row in report["slow"] if knows_defence(row)]
    attacks += [row for row in report["slow"] if row not in knowing]
    lines = [
        f"Br35H validation scans, n = {plain['n']}; 95 % intervals by bootstrap over near-duplicate groups; thresholds "
        f"cross-fitted over groups. All of it by `{report['command']}`.",
        "",
        f"Without an attack: undefended {share(plain, 'clean_accuracy')}, "
        f"defended {share(plain, 'defended_clean_accuracy')}; false alarms {share(plain, 'flagged_clean')}; "
        f"refused {plain['refused']} of {plain['n']}.",
        "",
        "**Attackers who know the classifier and not the defence**",
        "",
        *attack_table(attacks),
        "",
        "**Attackers who know the whole defence**, thresholds included, on fewer scans, as they take long on two cores",
        "",
        *(attack_table(knowing) if knowing else ["Not measured yet."]),
        "",
        "**Benign changes**, no attacks; where one is flagged all the same, purification should keep the label",
        "",
        *benign_table(benign),
        "",
        "**Purifiers**, each on every scan whether flagged or not; the attacker knows the classifier alone",
        "",
        *purifier_table(report["purifiers"].get("rows", [])),
        "",
        *variation_tables(report["variation"]),
        "",
        f"| {report['machine']} | median |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in report["timings"].items()),
        "",
        "SSIM is between the purified estimates and the scans before the attack. AUC is over all attacked scans "
        "against the clean ones; ‘fooled, flagged’ is the share flagged of those that fooled the classifier. A refusal "
        "counts as a wrong answer.",
    ]
    return "\n".join(lines)


def knows_defence(row: dict[str, Any]) -> bool:
    """Whether a row's attacker faces the whole defence."""
    return sees_defence(AttackSettings(**row["report"]["settings"]["attack"]))


def attack_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line a row, with its head; by attack and ε."""
    rows = sorted(rows, key=lambda row: (row["title"].rsplit(",")[0], row["report"]["settings"]["attack"]["eps"]))
    return [
        "| attack | n | undefended | defended | flagged | fooled, flagged | AUC `mae_error` | `amv` | `instability` | "
        "SSIM | command |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *map(attack_text, rows),
    ]


def attack_text(row: dict[str, Any]) -> str:
    """One row of an attack table."""
    report = row["report"]
    scores = [area(report["detection"][name]) for name in ("mae_error", "amv", "instability")]
    cells = [
        row["title"],
        str(report["n"]),
        share(report, "attacked_accuracy"),
        share(report, "defended_attacked_accuracy"),
        share(report, "flagged_attacked"),
        percent(report["flagged_successful"]),
        *scores,
        "–" if report["ssim_purified"] is None else f"{report['ssim_purified']:.3f}",
        f"`{report['settings']['command'].removeprefix('python -m core ')}`",
    ]
    return f"| {' | '.join(cells)} |"


def benign_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line a row, with its head."""
    head = [
        "| change | flagged | label kept, of those | undefended | defended | command |",
        "|---|---|---|---|---|---|",
    ]
    return head + [benign_text(row) for row in rows]


def benign_text(row: dict[str, Any]) -> str:
    """One row of the table of benign changes."""
    report = row["report"]
    cells = [
        row["title"],
        share(report, "flagged_attacked"),
        percent(report["flagged_label_kept"]),
        share(report, "attacked_accuracy"),
        share(report, "defended_attacked_accuracy"),
        f"`{report['settings']['command'].removeprefix('python -m core ')}`",
    ]
    return f"| {' | '.join(cells)} |"


def purifier_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line a purifier, with its head."""
    if not rows:
        return ["Not measured yet."]
    return [
        "| purifier | n | clean | PGD-40, 4/255 | PGD-40, 8/255 | SSIM clean | 4/255 | 8/255 | "
        "lesions within 10 % of their contrast (of the plain difference of means) | a scan | command |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *map(purifier_text, rows),
    ]


def purifier_text(row: dict[str, Any]) -> str:
    """One row of the table of purifiers."""
    conditions = ("clean", "attacked_4", "attacked_8")
    cells = [
        row["row"].rsplit(" n=")[0],
        str(row["n"]),
        *(share(row, condition) for condition in conditions),
        *(f"{row[f'ssim_{condition}']:.3f}" for condition in conditions),
        lesion_text(row["lesion_clean"]),
        f"{row['ms']:.0f} ms",
        f"`{row['command'].removeprefix('python -m ')}`",
    ]
    return f"| {' | '.join(cells)} |"


def lesion_text(summary: dict[str, Any] | None) -> str:
    """How many outlined lesions kept their contrast, and how many by the plain difference of two means."""
    if not summary or not summary["n"]:
        return "–"
    kept, plain = percent(summary["contrast_kept"]), percent(summary["difference_kept"])
    return f"{kept} of {summary['n']} ({plain})"


def variation_tables(record: dict[str, Any]) -> list[str]:
    """The MAE's loss and attention variation against ε and along MAE-Pure."""
    if not record:
        return []

    def line(place: float, point: dict[str, float]) -> str:
        loss, encoder, decoder = (point[name] for name in ("reconstruction_loss", "encoder", "decoder"))
        return f"| {place:g} | {loss:.4f} | {encoder:.2f} | {decoder:.2f} |"

    def table(title: str, name: str, points: Sequence[dict[str, float]]) -> list[str]:
        head = [f"| {title} | reconstruction loss | attention variation, encoder | decoder |", "|---|---|---|---|"]
        return head + [line(point[name], point) for point in points]

    command = record["command"].removeprefix("python -m ")
    return [
        f"**What the MAE sees** (MAE-Pure, figure 4), n = {record['n']}, against the clean scans: under PGD-40, and "
        f"along MAE-Pure from PGD-40 at 8/255. `{command}`",
        "",
        *table("ε, 1/255", "eps", record["attack"]),
        "",
        *table("MAE-Pure step", "step", record["purification"]),
    ]


def percent(value: float | None) -> str:
    """A share in percent; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.1f} %"


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
