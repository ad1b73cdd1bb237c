"""What an address asks for, chosen as far as it is here; the rest is named in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.examinations import attacked_otherwise, samples, take_original
from pages.shared.runtime import bundle
from pages.shared.visit.attacks import MOST_SEED, NAMES, WrongWord, asked_attack, whole_number
from pages.shared.visit.purifiers import asked_purifiers
from pages.shared.words import plain

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from pages.shared.session import Session

MOST_SHOWN = 40  # letters of a word that is not known
# Words that only their page understands.
OF_PAGES = {"experts": ("mixture",), "faults": ("network", "form", "guard", "flips"), "encrypt": ("head", "preset")}
OTHERWISE = "otherwise"  # attacked, but not to deceive the classifier of the address, which can't make it again
UNKNOWN, WITHOUT = "This address asks for what isn’t here: ", ". The page begins without it."
GONE = (
    "The scan of this address isn’t on the server any more, or somebody else brought it, and such scans are never "
    "shared: upload it again, or choose a sample."
)


def apply(session: Session, words: Mapping[str, str], came_back: bool) -> None:
    """Choose what these words ask for; `came_back`: by Back or Forward, so that what is missing was not yet chosen."""
    wrong: dict[str, str] = {}  # the name of a word → the range that holds for it, else empty
    visit = session.visit
    _take_bundle(session, words, wrong)
    _take_scan(session, words, wrong)
    # An address leaves out what is as usual, and a tab that was used before may hold something else. Where it is the
    # tab's own, loaded again, all stays, also what it has no room for; without a scan no classifier stands in it.
    loaded_again, scan = visit.is_left_at(words) and not came_back, words.keys() & {"sample", "scan"}
    whole = not loaded_again and bool(words.keys() & {"bundle", "sample"} - wrong.keys())
    _take_models(session, words, wrong, whole and bool(scan or not came_back))
    _take_attack(session, words, wrong)
    if wrong.keys() & set(NAMES):  # no other attack is made in the place of one that isn't taken
        words = {name: word for name, word in words.items() if name != "attacked"}
    _take_purifiers(session, words, wrong)
    named, own = ("slice", "window", "attacked", "step"), OF_PAGES.get(visit.page, ())
    visit.asked |= {name: words[name] for name in (*named, *own) if name in words}
    visit.asked["section"] = words.get("section", "")
    if came_back or whole:
        shown = ("slice", "window") if came_back or scan else ()
        visit.asked = dict.fromkeys((*shown, *own), "") | visit.asked
    if came_back or "view" in words:
        visit.class_view = words.get("view") == "class"
    if words.get("view", "class") != "class":
        wrong["view"] = ""
    if "attacked" not in words:
        another = came_back or "sample" in words
    else:
        another = words["attacked"] != OTHERWISE and not loaded_again and not _is_open_copy(session, words)
    if another:
        take_original(session)
    refuse(session, {name: words[name] for name in wrong}, wrong)


def _is_open_copy(session: Session, words: Mapping[str, str]) -> bool:
    """Whether the attacked copy that is open is the one that these words ask for."""
    scan, frame, _ = session.target()
    made, asked = (session.attacked_by, session.attacked_seed), (session.attack, session.attack_seed)
    if made != asked or attacked_otherwise(session):
        return False
    return scan is None or words.get("slice", str(scan.default_frame + 1)) == str(frame + 1)


def ask_for(session: Session, words: Mapping[str, str], press: str = "") -> None:
    """Ask the page for what an address with these words would; `press`: a button to be pressed, by its key."""
    _take_attack(session, words, {})
    session.visit.asked |= {name: words[name] for name in ("section", "step") if name in words}
    session.visit.asked["press"] = press


def is_pressed(session: Session, key: str) -> bool:
    """Whether this button is to be pressed; once."""
    wanted = session.visit.asked.get("press") == key
    if wanted:
        del session.visit.asked["press"]
    return wanted


def refuse(session: Session, words: Mapping[str, str], holds: Mapping[str, str] | None = None) -> None:
    """Say which words of the address are not taken; holds: of numbers by name, the range that they must lie in."""
    if words:
        ranges = {name: f" (possible: {within})" for name, within in (holds or {}).items() if within}
        said = [f"{name} “{word[:MOST_SHOWN]}”{ranges.get(name, '')}" for name, word in words.items()]
        before = session.visit.problem or ""
        if before.startswith(UNKNOWN):
            said.insert(0, before.removeprefix(UNKNOWN).removesuffix(WITHOUT))
        session.visit.problem = UNKNOWN + ", ".join(said) + WITHOUT


def _take_bundle(session: Session, words: Mapping[str, str], wrong: dict[str, str]) -> None:
    from core import bundle_names

    name = words.get("bundle", session.bundle)
    if name not in bundle_names():
        wrong["bundle"] = ""
    elif name != session.bundle:
        session.choose_bundle(name)


def _take_scan(session: Session, words: Mapping[str, str], wrong: dict[str, str]) -> None:
    if key := words.get("sample"):
        if key not in samples():
            wrong["sample"] = ""
        elif key != session.sample or session.scan is None:
            session.wanted, session.tour = key, None
    elif words.get("scan") and (session.scan is None or session.sample):
        session.visit.problem = GONE


def _take_models(session: Session, words: Mapping[str, str], wrong: dict[str, str], whole: bool) -> None:
    """The classifier and the seed; `whole`: a classifier that isn't named is the bundle's default."""
    models = bundle(session.bundle)
    if name := words.get("classifier"):
        if name in models.examining:
            session.classifier = name
        else:
            wrong["classifier"] = ""
    elif whole and session.classifier != models.default_classifier:
        session.classifier = None
    if "seed" in words:
        try:
            session.seed = st.session_state["seed"] = whole_number(words, "seed", 0, MOST_SEED)
        except WrongWord as error:
            wrong["seed"] = error.holds


def _take_attack(session: Session, words: Mapping[str, str], wrong: dict[str, str]) -> None:
    if not words.keys() & set(NAMES):
        return
    usual = {"attack": "pgd"}  # of numbers without an attack nothing is taken, but that they can't be is said
    try:
        settings, seed = asked_attack(usual | dict(words), len(bundle(session.bundle).classes))
    except WrongWord as error:
        wrong[str(error)] = error.holds
        return
    if "attack" not in words:
        return
    session.attack, session.attack_seed = settings, seed
    session.visit.asked["attack"] = words["attack"]


def _take_purifiers(session: Session, words: Mapping[str, str], wrong: dict[str, str]) -> None:
    if "purify" not in words:
        return
    try:
        session.purify, session.purify_seed = asked_purifiers(words, bundle(session.bundle))
    except WrongWord as error:
        wrong[str(error)] = error.holds
        return
    session.visit.asked["purify"] = words["purify"]


def draw_address_problem(session: Session, place: DeltaGenerator) -> None:
    """The sentence about what the address asks for and what isn't here."""
    if session.visit.problem:
        place.warning(plain(session.visit.problem), icon=":material/link_off:")
