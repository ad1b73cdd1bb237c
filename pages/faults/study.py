"""What flips do to accuracy, measured now on the sample scans: one campaign after another, in the background."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

from pages.faults.state import FaultsState, Study
from pages.faults.words import network_title
from pages.shared.runtime import heavy_work

if TYPE_CHECKING:
    from core import Bundle
    from core.faults import CampaignSettings
    from core.faults.samples import Samples
    from core.faults.view import Layer
    from pages.shared.session import Session

FLIPS, LAYERS, BITS, ACTIVATIONS = "flips", "layers", "bits", "activations"
TITLES = {FLIPS: "Over flips", LAYERS: "By layer", BITS: "By bit", ACTIVATIONS: "Activations"}
BY_PART = (LAYERS, ACTIVATIONS)
UNIT = "trials"
COUNTS = (1, 2, 4, 8, 16)
RECORDED_FORM = "float32"  # of every recorded study but that of the bits, which has both
LAYER_FLIPS = 16  # as recorded: a single one is harmless too often to tell layers apart in a few trials
NO_SAMPLES = (
    "This bundle has no sample scans of its own, so that nothing can be measured on them; choose another bundle."
)
NO_LABELS = "The autoencoder gives no label, so that it has no accuracy; choose a classifier."


class Plan(NamedTuple):
    """One point of a study: what its row is called, and the campaign that measures it."""

    facts: dict[str, Any]
    settings: CampaignSettings


def samples_of(state: FaultsState) -> Samples | None:
    """The bundle's sample scans as one batch; None where it has none."""
    key, models = (state.bundle, *state.models.hashes.values()), state.models
    try:
        return heavy_work("Opening the sample scans …", lambda: _samples(key, models))
    except ValueError:
        return None


@st.cache_resource(show_spinner=False, max_entries=4)
def _samples(key: tuple[str, ...], _models: Bundle) -> Samples:
    """Opened once: what is flipped is shown on them at every press."""
    from core.faults.samples import labelled_samples

    return labelled_samples(_models)


def shown_layers(state: FaultsState) -> list[Layer]:
    """The layers of the part that is looked at: of a mixture one expert, or the gate."""
    return [layer for layer in state.layers if layer.part == state.layer.part]


def study_key(state: FaultsState, what: str) -> tuple[str, str, str]:
    """Under which a live study is kept: layers are measured part by part, and everything in the format of today."""
    return what, state.layer.part if what in BY_PART else "", state.form


def other_form(state: FaultsState) -> str:
    """Where recorded flips, layers and activations are of another format than is shown: which; else empty."""
    return "" if state.form == RECORDED_FORM else f"in {RECORDED_FORM}, not in {state.form}"


def live_rows(state: FaultsState, what: str) -> list[Any]:
    """What was measured live so far of a study."""
    study = state.studies.get(study_key(state, what))
    return study.rows if study else []


def start_study(session: Session, state: FaultsState, what: str, trials: int) -> None:
    """Begin to measure, where the bundle has scans for it."""
    batch = samples_of(state)
    if batch is None:
        st.info(NO_SAMPLES, icon=":material/info:")
        return
    begin_study(state, what, batch, trials, session.seed)
    st.rerun()


def begin_study(state: FaultsState, what: str, batch: Samples, trials: int, seed: int) -> None:
    """Measure a study in the background; what an earlier one of the kind came to is dropped."""
    plans = planned(state, what, batch, trials, seed)
    key = study_key(state, what)
    study = state.studies[key] = Study(what, len(batch.labels), trials, state.form, seed)
    state.start(_steps(state, study, plans, batch), doing=key, total=trials * len(plans))


def planned(state: FaultsState, what: str, batch: Samples, trials: int, seed: int) -> list[Plan]:
    """The campaigns of a study, in the order of its chart."""
    from core.faults import FORMATS, CampaignSettings, activation_sites

    base = {"trials": trials, "form": state.form, "seed": seed}
    if what == FLIPS:
        return [Plan({"flips": count}, CampaignSettings(count, **base)) for count in COUNTS]
    if what == BITS:
        form = FORMATS[state.form]
        facts = [{"form": form.name, "bit": bit, "field": form.field(bit)} for bit in range(form.bits)]
        return [Plan(fact, CampaignSettings(bit=fact["bit"], **base)) for fact in facts]
    shown = shown_layers(state)
    if what == LAYERS:
        more = {"level": "stage", "flips": LAYER_FLIPS}
        facts = [{"name": layer.name, "elements": layer.elements, **more} for layer in shown]
        return [Plan(fact, CampaignSettings(LAYER_FLIPS, tensor=fact["name"], **base)) for fact in facts]
    sites = heavy_work("Looking for activations …", lambda: activation_sites(state.module, batch.pixels))
    facts = [{"stage": layer.name, "elements": sites[layer.name]} for layer in shown if layer.name in sites]
    return [Plan(fact, CampaignSettings(kind="activation", tensor=fact["stage"], **base)) for fact in facts]


def _steps(state: FaultsState, study: Study, plans: list[Plan], batch: Samples) -> Iterator[None]:
    from core.faults import campaign_summary, run_campaign
    from core.faults.record import STUDIES

    for plan in plans:
        trials = []
        for trial in run_campaign(state.module, batch.pixels, batch.labels, plan.settings):
            trials.append(trial)
            yield
        study.rows.append(STUDIES[study.what](**plan.facts, **campaign_summary(trials)))


def about(state: FaultsState, study: Study) -> str:
    """What a live study was measured on, and with what."""
    return (
        f"n = {study.n} sample scans, {study.trials} trials a point, {study.form}, seed {study.seed}, "
        f"{network_title(state.network)}, measured now. Intervals: 95 %, over trials. So few scans make no accuracy "
        "that could be quoted."
    )
