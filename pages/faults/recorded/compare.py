"""Side by side: the bundle's classifiers under flips, corruptions and attacks, as recorded; who breaks first?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.faults import charts
from pages.faults.recorded import draw_source, open_record, was_added
from pages.faults.recorded.findings import first_to_break, helped, interplay, most_harmful
from pages.faults.words import measured, network_title
from pages.shared.charts import CONFIG
from pages.shared.records import draw_finding, draw_unrecorded
from pages.shared.visit.stage import draw_chart
from pages.shared.words import method_title, plain

if TYPE_CHECKING:
    from core import Bundle
    from core.faults.record import AttackRow, FaultRecord

Records = dict[str, "FaultRecord"]
NONE = "Nothing of this kind is recorded for this bundle’s classifiers with their weights of today."
ADDED = "Classifiers that were added here have no recorded studies to set side by side."
APART = "Not all were asked about the same scans: those that weren’t stand apart, and nothing is concluded across."
COMMAND = "python -m training.measure.faults --data FILE --bundle {} --only {}"


def draw_compare(models: Bundle) -> None:
    """Flips, corruptions, flips and ε together, and whether training against attacks helps."""
    records = {name: open_record(models, name) for name in models.classifiers if not was_added(models, name)}
    if not records:
        st.info(ADDED, icon=":material/info:")
        return
    _draw_flips(models, records)
    _draw_corruptions(models, records)
    _draw_map(models, records)
    if mixtures := {name: record for name, record in records.items() if models.experts(name)}:
        _draw_training(models, mixtures)


def _known(models: Bundle, records: Records, study: str) -> Records:
    """The classifiers for which a study is recorded; a sentence on those, or all, for which it isn't."""
    known = {name: record for name, record in records.items() if record.rows(study)}
    if not known:
        draw_unrecorded(NONE, COMMAND.format(models.name, study), f"the study ‘{study}’")
    elif missing := [plain(network_title(name)) for name in records if name not in known]:
        st.caption(f"Not recorded yet with the weights of today: {', '.join(missing)}.")
    return known


def _groups(known: Records, study: str) -> list[tuple[str, str, Records]]:
    """The classifiers that were asked about the same scans together, each group with an ending for keys and a title;
    the title is empty where there is one group alone."""
    from core.faults.study import by_scans

    studies = {name: record.studies[study] for name, record in known.items()}
    groups = by_scans(studies)
    if len(groups) > 1:
        st.caption(APART)
    titles = [_title(group, studies[group[0]].scans) if len(groups) > 1 else "" for group in groups]
    endings = [f"-{place}" if place else "" for place in range(len(groups))]
    return [(*words, {name: known[name] for name in group}) for *words, group in zip(endings, titles, groups)]


def _title(group: list[str], scans: str) -> str:
    """Whose curves these are, as a curve that is alone has no legend, and which scans they are of."""
    return plain(f"{', '.join(map(network_title, group))}: scans of {scans}")


def _draw_flips(models: Bundle, records: Records) -> None:
    st.header("Who breaks first?", anchor=False)
    for ending, title, known in _groups(_known(models, records, "flips"), "flips"):
        if title:
            st.subheader(title, anchor=False)
        _draw_flips_of(known, f"compare-flips{ending}")


def _draw_flips_of(known: Records, key: str) -> None:
    lines, ticks = [], set()
    for name, record in known.items():
        rows = [row for row in record.rows("flips") if row.accuracy is not None]
        ticks |= {row.flips for row in rows}
        lines.append(
            charts.Line(
                network_title(name), [row.flips for row in rows], [row.accuracy for row in rows],
                [row.interval for row in rows],
            )
        )  # fmt: skip
    told = first_to_break({name: record.rows("flips") for name, record in known.items()})
    draw_finding(told)
    figure = charts.accuracy_lines(lines, "random flips at once, anywhere in the weights", sorted(ticks))
    draw_chart(figure, charts.HEIGHT, key=key, alt=f"Accuracy over flips. {told}")
    draw_source(next(iter(known.values())).studies["flips"], "‘Who breaks first?’")


def _draw_corruptions(models: Bundle, records: Records) -> None:
    st.header("Damaged pictures instead of damaged networks", anchor=False)
    for ending, title, known in _groups(_known(models, records, "corruptions"), "corruptions"):
        if title:
            st.subheader(title, anchor=False)
        _draw_corruptions_of(known, ending)


def _draw_corruptions_of(known: Records, ending: str) -> None:
    if told := most_harmful({name: record.rows("corruptions") for name, record in known.items()}):
        draw_finding(told)
    kinds = list(dict.fromkeys(row.name for record in known.values() for row in record.rows("corruptions")))
    grid = st.grid(max(len(kinds), 1), min_column_width=290, gap="medium")
    for kind in kinds:
        lines, ticks = [], set()
        for name, record in known.items():
            rows = [row for row in record.rows("corruptions") if row.name == kind]
            clean = _unattacked(record)
            places = [0] * len(clean) + [row.severity for row in rows]
            rows = [*clean, *rows]
            ticks |= set(places)
            accuracies, intervals = [row.accuracy for row in rows], [row.interval for row in rows]
            lines.append(charts.Line(network_title(name), places, accuracies, intervals))
        ends = "; ".join(f"{line.title} {measured(line.accuracies[-1])}" for line in lines if line.accuracies)
        with grid.cell():
            st.markdown(f"**{method_title(kind)}**")
            figure = charts.accuracy_lines(lines, "severity", sorted(ticks), 0.4)
            alt = f"Accuracy under {method_title(kind)}; at the highest severity: {ends}"
            st.plotly_chart(figure, height=charts.HEIGHT - 60, config=CONFIG, key=f"compare-{kind}{ending}", alt=alt)
            st.markdown(f"At the highest severity: {ends}.")
    draw_source(
        next(iter(known.values())).studies["corruptions"], "the corruptions", "Severity 0 is the scan as it is."
    )


def _unattacked(record: FaultRecord) -> list[AttackRow]:
    """The row of the scans as they are; empty where that is of other scans than the corruptions are."""
    from core.faults.study import same_scans

    attacks = record.studies.get("attacks")
    if attacks is None or not same_scans(attacks, record.studies["corruptions"]):
        return []
    return [row for row in attacks.rows if row.method == "none"]


def _draw_map(models: Bundle, records: Records) -> None:
    st.header("Flips and attacks together", anchor=False)
    known = _known(models, records, "map")
    if not known:
        return
    how = {"format_func": network_title, "required": True, "key": f"compare-map-{models.name}"}
    name = st.segmented_control("Classifier", list(known), default=next(iter(known)), **how) or next(iter(known))
    rows = known[name].rows("map")
    flips, steps = sorted({row.flips for row in rows}), sorted({row.eps for row in rows})
    found = {(row.flips, row.eps): row.accuracy for row in rows}
    shares = [[found.get((count, eps)) for eps in steps] for count in flips]
    told = interplay(rows)
    draw_finding(told)
    figure = charts.grid_map([f"{eps:g}" for eps in steps], [str(count) for count in flips], shares)
    alt = f"Accuracy of {network_title(name)} over flips and ε. {told}"
    st.plotly_chart(figure, height=charts.HEIGHT - 90, config=CONFIG, key="compare-map", alt=alt)
    draw_source(known[name].studies["map"], "flips and attacks together", "PGD knows the undamaged network.")


def _draw_training(models: Bundle, records: Records) -> None:
    st.header("Does training against attacks help against flips?", anchor=False)
    known = _known(models, records, "experts")
    for name, record in known.items():
        rows = record.rows("experts")
        st.markdown(f"**{network_title(name)}**: {helped(rows)}")
        table: dict[str, dict[str, str]] = {}
        for row in rows:
            line = table.setdefault(row.expert, {"Expert": plain(row.expert), "Trained on": plain(row.training)})
            flips = "No flip" if row.flips == 0 else f"{row.flips} flip{'s' if row.flips > 1 else ''}"
            line[flips] = "none answered" if row.accuracy is None else measured(row.accuracy)
        st.table(list(table.values()), hide_index=True)
        draw_source(record.studies["experts"], f"{network_title(name)}’s experts", "Each expert is asked alone.")
