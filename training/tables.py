"""Measure every figure of the README and of the bundle card again, and rewrite them.

    python -m training.tables --data br35h.npz
    python -m training.tables --data pbc.zip --bundle blood-cells
    python -m training.tables --data br35h.npz --recorded      only the timings; the rest from what was measured so far

Each row is one `python -m core evaluate` command, which the table names. Answers that were recorded with the weights of
today (`training.answers`) are not measured again, nor are the rows of slow attackers, who get fewer scans.
"""

import argparse
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from core.attacks import CORRUPTIONS, METHODS, AttackSettings, longest_run, sees_defence
from core.bundles import WEIGHTS, Bundle, bundle_names, load_bundle
from core.bundles.calibration import NOTHING, Calibration, Limits
from core.defence.fitting import cross_fitted_limits
from core.evaluation.datasets import Dataset, load_for
from core.evaluation.encrypted import token_classifiers
from core.evaluation.evaluation import evaluate, own_limits, settings_record, weights_record
from core.evaluation.operating_points import operating_point
from core.evaluation.summary import summary
from core.evaluation.timing import machine, measure_timings
from core.evaluation.timing_explanations import mixture_timings
from training.answers import CONDITIONS, NOTEBOOKS, condition_name, record
from training.calibrate import fit_bundle
from training.encrypted import record_encryption
from training.encryption_tables import encryption_summary, encryption_tables
from training.fault_tables import fault_summary, fault_tables, percent
from training.faults import record_faults
from training.looks import record_looks
from training.mixture_tables import mixture_tables, table
from training.purifiers import compare
from training.results import read_results, write_results
from training.variation import record_variation

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Row:
    """An attacker who takes long, and on how many of the validation scans."""

    attack: AttackSettings
    limit: int | None
    classifier: str | None = None  # None for the bundle's default


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
) + tuple(Row(AttackSettings("pgd", eps=eps, steps=20, eot=4, white_box=True), 20, "dwf") for eps in (8, 4))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", default="brain-mri")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recorded", action="store_true", help="measure nothing but the timings")
    options = parser.parse_args()
    folder = WEIGHTS / options.bundle
    bundle = load_bundle(options.bundle)
    if bundle.lacks is None:
        if not options.recorded:
            record(options, CONDITIONS)
        fit_bundle(folder)
        bundle = load_bundle(options.bundle)
    data = load_for(bundle, options.data)
    if bundle.lacks is None:
        measure_defence(bundle, data.split("val"), options)
    else:
        write_results(folder / "results.json", {"plain_rows": list(plain_rows(bundle, data.split("val"), options))})
    record_faults(data, bundle, options)
    if token_classifiers(bundle) and not options.recorded:
        record_encryption(data, bundle, options)
    write_pages(bundle)


def measure_defence(bundle: Bundle, val: Dataset, options: argparse.Namespace) -> None:
    """Everything about detection, purification and explanations, into results.json."""
    results = WEIGHTS / bundle.name / "results.json"
    known = kept_rows(read_results(results), bundle)
    report = {"command": f"make tables DATA={options.data.name}", "machine": machine()}
    report |= {
        "timings": measure_timings(bundle) | mixture_timings(bundle),
        "rows": list(recorded_rows(bundle, val, bundle.default_classifier, options)),
        "other_rows": {
            name: list(recorded_rows(bundle, val, name, options))
            for name in bundle.limits
            if name != bundle.default_classifier
        },
        "benign": benign_totals(bundle),
        "slow": [],
    }
    for row in slow_rows(bundle, val, known, options):
        report["slow"].append(row)
        write_results(results, report)
    write_results(results, report)
    compare(val, bundle, options)
    record_variation(val, bundle, options)
    if not options.recorded:
        record_looks(val, bundle, options)


def benign_totals(bundle: Bundle) -> dict[str, dict[str, int]]:
    """How many scans were flagged over all benign changes and what became of their labels; and if no answer stood."""
    calibration = bundle.calibrations[bundle.default_classifier]
    limits = cross_fitted_limits(calibration)
    none_stands = [replace(own, borderline=NOTHING) for own in limits]
    return {"measured": _totals(calibration, limits), "none stands": _totals(calibration, none_stands)}


def _totals(calibration: Calibration, limits: Sequence[Limits]) -> dict[str, int]:
    prices = [operating_point(calibration, condition, limits) for condition in calibration.benign]
    kept = [cost.label_kept for cost in prices if cost.label_kept]
    return {
        "flagged": sum(share.n for share in kept),
        "kept": sum(share.count for share in kept),
        "turned_wrong": sum(cost.turned_wrong for cost in prices),
        "turned_right": sum(cost.turned_right for cost in prices),
    }


def plain_rows(bundle: Bundle, val: Dataset, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each classifier of a bundle that has no defence: how often it is right."""
    for name in bundle.classifiers:
        report = evaluate(val, bundle, classifier=name, seed=options.seed)
        command = row_command(Row(AttackSettings(), None, name), bundle, options)
        settings = settings_record(val, bundle, name, AttackSettings(), "val", options.seed, command)
        yield {"title": name, "report": report | {"settings": settings}}


def write_pages(bundle: Bundle) -> None:
    """What README and the bundle's card say, from what has been measured."""
    report = dict.fromkeys(KEPT, {}) | read_results(WEIGHTS / bundle.name / "results.json")
    card = WEIGHTS / bundle.name / "CARD.md"
    if bundle.lacks is None:
        text = tables_text(report)
        rewrite(ROOT / "README.md", text)
        lines = [text, "", *other_tables(report), *mixture_tables(bundle, report)]
    else:
        lines = plain_table(report["plain_rows"])
    rewrite(card, "\n".join([*lines, *fault_tables(bundle), *encryption_tables(bundle)]))
    bundles = [load_bundle(name) for name in bundle_names()]
    rewrite(ROOT / "README.md", "\n".join(fault_summary(bundles)), "faults")
    encrypted = [line for every in bundles for line in encryption_summary(every)]
    rewrite(ROOT / "README.md", "\n".join(encrypted), "encryption")


def plain_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """How often each classifier of a bundle without a defence is right."""
    cells = [
        [
            row["title"],
            str(row["report"]["n"]),
            share(row["report"], "clean_accuracy"),
            f"`{row['report']['settings']['command'].removeprefix('python -m core ')}`",
        ]
        for row in rows
    ]
    return [*table(["classifier", "n", "accuracy", "command"], cells), ""]


def kept_rows(earlier: dict[str, Any], bundle: Bundle) -> dict[str, dict[str, Any]]:
    """Command → row of an earlier run that was measured with the weights and limits of today."""
    by_command = {row["report"]["settings"]["command"]: row for row in earlier.get("slow", [])}

    def of_today(row: dict[str, Any]) -> bool:
        settings = row["report"]["settings"]
        name = settings["classifier"]
        if name not in bundle.limits:
            return False
        limits = bundle.limits_of(name)
        today = weights_record(bundle, name), dict(limits.thresholds), limits.borderline._asdict()
        return today == (settings["weights_sha256"], settings["thresholds"], settings.get("borderline"))

    return {command: row for command, row in by_command.items() if of_today(row)}


def recorded_rows(bundle: Bundle, val: Dataset, name: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each condition that has been recorded of one classifier, without an attack first."""
    calibration = bundle.calibrations[name]
    limits, labels = own_limits(val, bundle, name), val.labels.numpy()
    clean = calibration.conditions["clean"]
    for attack in CONDITIONS:
        condition = condition_name(attack)
        if condition not in calibration.conditions:
            continue
        answers = calibration.conditions[condition] if attack.method else None
        report = summary(labels, val.groups, limits, clean, answers)
        command = row_command(Row(attack, None, name), bundle, options)
        settings = settings_record(val, bundle, name, attack, "val", options.seed, command)
        yield {"title": title(attack), "condition": condition, "report": report | {"settings": settings}}


def slow_rows(
    bundle: Bundle, val: Dataset, known: dict[str, dict[str, Any]], options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """A row for each attacker of `SLOW`, measured here where it isn't known."""
    for row in SLOW:
        if row.classifier and row.classifier not in bundle.limits:
            continue
        command = row_command(row, bundle, options)
        if command in known:
            yield known[command]
        elif not options.recorded:
            yield measure(row, val.limited(row.limit, options.seed), bundle, command, options)


def measure(row: Row, data: Dataset, bundle: Bundle, command: str, options: argparse.Namespace) -> dict[str, Any]:
    """One attacker's row."""
    name = condition_name(row.attack)
    NOTEBOOKS.mkdir(parents=True, exist_ok=True)
    whose = f"{row.classifier}-" if row.classifier else ""
    notebook = NOTEBOOKS / f"{bundle.name}-slow-{whose}{name.replace('/', '-')}.jsonl"
    with tqdm(total=2 * len(data), desc=name, unit="image", disable=None) as bar:
        report = evaluate(
            data,
            bundle,
            classifier=row.classifier,
            attack=row.attack,
            seed=options.seed,
            resume=notebook,
            progress=bar.update,
        )
    settings = settings_record(data, bundle, row.classifier, row.attack, "val", options.seed, command)
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


def row_command(row: Row, bundle: Bundle, options: argparse.Namespace) -> str:
    """The command that measures one row on its own."""
    attack, limit = row.attack, row.limit
    words = ["python", "-m", "core", "evaluate", "--data", options.data.name]
    words += ["--attack", attack.method] if attack.method else []
    for option in ("eps", "norm", "steps", "restarts", "eot", "severity"):
        if getattr(attack, option) != getattr(AttackSettings(), option):
            words += [f"--{option}", f"{getattr(attack, option)}"]
    words += ["--white-box"] if attack.white_box else []
    words += ["--classifier", row.classifier] if row.classifier not in (None, bundle.default_classifier) else []
    words += ["--limit", str(limit)] if limit else []
    words += ["--seed", str(options.seed)] if options.seed else []
    words += ["--bundle", options.bundle] if options.bundle != "brain-mri" else []
    return shlex.join(words)


def tables_text(report: dict[str, Any]) -> str:
    """The tables as Markdown."""
    plain = report["rows"][0]["report"]
    attacks = [row for row in report["rows"][1:] if row["report"]["settings"]["attack"]["method"] not in CORRUPTIONS]
    benign = [row for row in report["rows"][1:] if row not in attacks]
    own = plain["settings"]["classifier"]
    slow = [row for row in report["slow"] if row["report"]["settings"]["classifier"] == own]
    knowing = [row for row in slow if knows_defence(row)]
    attacks += [row for row in slow if row not in knowing]
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
        "**Benign changes**, no attacks; where one is flagged all the same, its label should stay as it was",
        "",
        *benign_table(benign),
        "",
        benign_sentence(report["benign"]),
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


def other_tables(report: dict[str, Any]) -> list[str]:
    """The same defence around the other classifiers, one table each."""
    lines = []
    for name, rows in report["other_rows"].items():
        plain = rows[0]["report"]
        attacks = [row for row in rows[1:] if row["report"]["settings"]["attack"]["method"] not in CORRUPTIONS]
        benign = [row for row in rows[1:] if row not in attacks]
        attacks += [row for row in report["slow"] if row["report"]["settings"]["classifier"] == name]
        lines += [
            f"**The classifier {name} behind the same defence**, with thresholds of its own. Without an attack: "
            f"undefended {share(plain, 'clean_accuracy')}, defended {share(plain, 'defended_clean_accuracy')}; false "
            f"alarms {share(plain, 'flagged_clean')}.",
            "",
            *attack_table(attacks),
            "",
            *benign_table(benign),
            "",
        ]
    return lines


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


def benign_sentence(totals: dict[str, dict[str, int]]) -> str:
    """All benign changes in two sentences."""

    def words(counts: dict[str, int]) -> str:
        share = percent(counts["kept"] / counts["flagged"] if counts["flagged"] else None)
        return f"{counts['kept']} ({share}) kept their label"

    def turned(counts: dict[str, int]) -> str:
        return f"{counts['turned_wrong']} were turned wrong and {counts['turned_right']} right"

    now, otherwise = totals["measured"], totals["none stands"]
    return (
        f"Of the {now['flagged']} flagged and not refused over all of these changes, {words(now)}; {turned(now)}. "
        f"If no borderline answer stood, {words(otherwise)}; {turned(otherwise)}."
    )


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


def area(figures: dict[str, Any]) -> str:
    """An AUC with its interval."""
    low, high = figures["auc_interval"]
    return f"{figures['auc']:.3f} ({low:.3f}–{high:.3f})"


def share(report: dict[str, Any], name: str) -> str:
    """A share in percent with its interval."""
    low, high = report["intervals"][name]
    return f"{100 * report[name]:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def rewrite(page: Path, text: str, name: str = "tables") -> None:
    """Replace what stands between the two marks of a page."""
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    before, rest = page.read_text(encoding="utf-8").split(start)
    after = rest.split(end)[1]
    page.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
