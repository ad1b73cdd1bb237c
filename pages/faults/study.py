"""What flips do to accuracy, measured now on the sample scans: one campaign after another, in the background."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

from pages.faults.words import network_title
from pages.shared.runtime import heavy_work

if TYPE_CHECKING:
    from core.faults import CampaignSettings
    from core.faults.samples import Samples
    from core.faults.view import Layer
    from pages.faults.state import FaultBench
    from pages.shared.session import Session

FLIPS, LAYERS, BITS, ACTIVATIONS = "flips", "layers", "bits", "activations"
TITLES = {FLIPS: "Over flips", LAYERS: "By layer", BITS: "By bit", ACTIVATIONS: "Activations"}
BY_PART = (LAYERS, ACTIVATIONS)
UNIT = "trials"
COUNTS = (1, 2, 4, 8, 16)
LAYER_FLIPS = 16  # as recorded: a single one is harmless too often to tell layers apart in a few trials
NO_SAMPLES = (
    "This bundle has no sample scans of its own, so that nothing can be measured on them; choose another bundle."
)
NO_LABELS = "The autoencoder gives no label, so that it has no accuracy; choose a classifier."


class Plan(NamedTuple):
    """One point of a study: what its row is called, and the campaign that measures it."""

    facts: dict[str, Any]
    settings: CampaignSettings


@dataclass
class Study:
    """Measured live: `rows` as `core.faults.record` has them, so that charts take both.

    n: scans; trials: campaigns of so many each; form: number format of the flips.
    """

    what: str
    n: int
    trials: int
    form: str
    seed: int
    rows: list[Any] = field(default_factory=list)


def samples_of(bench: FaultBench) -> Samples | None:
    """The bundle's sample scans as one batch; None where it has none."""
    from core.faults.samples import labelled_samples

    try:
        return heavy_work("Opening the sample scans …", lambda: labelled_samples(bench.models))
    except ValueError:
        return None


def shown_layers(bench: FaultBench) -> list[Layer]:
    """The layers of the part that is looked at: of a mixture one expert, or the gate."""
    return [layer for layer in bench.layers if layer.part == bench.layer.part]


def study_key(bench: FaultBench, what: str) -> tuple[str, str]:
    """Under which a live study is kept: layers are measured part by part."""
    return what, bench.layer.part if what in BY_PART else ""


def live_rows(bench: FaultBench, what: str) -> list[Any]:
    """What was measured live so far of a study."""
    study = bench.studies.get(study_key(bench, what))
    return study.rows if study else []


def start_study(session: Session, bench: FaultBench, what: str, trials: int) -> None:
    """Begin to measure, where the bundle has scans for it."""
    batch = samples_of(bench)
    if batch is None:
        st.info(NO_SAMPLES, icon=":material/info:")
        return
    begin_study(bench, what, batch, trials, session.seed)
    st.rerun()


def begin_study(bench: FaultBench, what: str, batch: Samples, trials: int, seed: int) -> None:
    """Measure a study in the background; what an earlier one of the kind came to is dropped."""
    plans = planned(bench, what, batch, trials, seed)
    key = study_key(bench, what)
    study = bench.studies[key] = Study(what, len(batch.labels), trials, bench.form, seed)
    bench.start(key, trials * len(plans), _steps(bench, study, plans, batch))


def planned(bench: FaultBench, what: str, batch: Samples, trials: int, seed: int) -> list[Plan]:
    """The campaigns of a study, in the order of its chart."""
    from core.faults import FORMATS, CampaignSettings, activation_sites

    base = {"trials": trials, "form": bench.form, "seed": seed}
    if what == FLIPS:
        return [Plan({"flips": count}, CampaignSettings(count, **base)) for count in COUNTS]
    if what == BITS:
        form = FORMATS[bench.form]
        facts = [{"form": form.name, "bit": bit, "field": form.field(bit)} for bit in range(form.bits)]
        return [Plan(fact, CampaignSettings(bit=fact["bit"], **base)) for fact in facts]
    shown = shown_layers(bench)
    if what == LAYERS:
        more = {"level": "stage", "flips": LAYER_FLIPS}
        facts = [{"name": layer.name, "elements": layer.elements, **more} for layer in shown]
        return [Plan(fact, CampaignSettings(LAYER_FLIPS, tensor=fact["name"], **base)) for fact in facts]
    sites = heavy_work("Looking for activations …", lambda: activation_sites(bench.module, batch.pixels))
    facts = [{"stage": layer.name, "elements": sites[layer.name]} for layer in shown if layer.name in sites]
    return [Plan(fact, CampaignSettings(kind="activation", tensor=fact["stage"], **base)) for fact in facts]


def _steps(bench: FaultBench, study: Study, plans: list[Plan], batch: Samples) -> Iterator[None]:
    from core.faults import campaign_summary, run_campaign
    from core.faults.record import STUDIES

    for plan in plans:
        trials = []
        for trial in run_campaign(bench.module, batch.pixels, batch.labels, plan.settings):
            trials.append(trial)
            yield
        study.rows.append(STUDIES[study.what](**plan.facts, **campaign_summary(trials)))


def about(bench: FaultBench, study: Study) -> str:
    """What a live study was measured on, and with what."""
    return (
        f"n = {study.n} synthetic sample scans, {study.trials} trials a point, {study.form}, seed {study.seed}, "
        f"{network_title(bench.network)}, measured now. Intervals: 95 %, over trials. So few scans make no accuracy "
        "that could be quoted."
    )
