"""The address of the page: written as the visitor goes, read when somebody comes by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn
from urllib.parse import parse_qsl, urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.shared.examinations import attacked_otherwise
from pages.shared.runtime import bundle, engine
from pages.shared.visit.asked import OTHERWISE, apply
from pages.shared.visit.attacks import attack_words
from pages.shared.visit.components import component
from pages.shared.visit.purifiers import purifier_words
from pages.shared.visit.windows import window_word

if TYPE_CHECKING:
    from pages.shared.session import Session

OWN, YES, CLASS = "own", "yes", "class"
STEPPED = ("attack", "purify")
# What is another place in the browser's history; the rest is only set differently.
PLACE = ("bundle", "sample", "scan", "attacked", "section", "view")


def read_address(session: Session, page: str, pages: tuple[str, ...]) -> None:
    """Choose what the address asks for where somebody has just come by it, be it by Back or Forward.

    page, pages: the name of the one that is open, and of all.
    """
    visit, context = session.visit, get_script_run_ctx()
    back = bool(context and context.is_history_navigation)
    if visit.page and page != visit.page:
        visit.problem = None
    visit.page, visit.pages, visit.section, visit.step, visit.words = page, pages, "", "", {}
    visit.stage = None
    if (visit.arrived and not back) or not engine().ready.is_set():
        return
    visit.asked, visit.problem = {}, None
    words = st.query_params.to_dict()
    if back and page == "home":
        words.pop("sample", None)  # it was opened when somebody came by it
    apply(session, words, came_back=back)
    visit.arrived = True


def write_address(session: Session, key: str = "address") -> None:
    """Tell the browser the address of what is shown; `key`: from where on the page it is told."""
    visit = session.visit
    if not visit.arrived:
        return
    words = address_words(session)
    visit.written = urlencode(words)
    place = urlencode({name: words.get(name, "") for name in PLACE})
    page = "" if visit.page == "home" else visit.page
    data = {"page": page, "pages": visit.pages, "query": visit.written, "place": place}
    component("address")(key=key, data=data | {"replace": visit.problem is not None})


def address_words(session: Session) -> dict[str, str]:
    """What stands in the address: bundle, scan, attack and seed, and where on the page."""
    visit, words = session.visit, dict[str, str]()
    if visit.page != "home":  # from where a scan in the address would lead away
        words |= {"bundle": session.bundle} | _scan_words(session)
        attacked = session.origin is not None and visit.page != "attack"
        settings, seed = (
            (session.attacked_by, session.attacked_seed) if attacked else (session.attack, session.attack_seed)
        )
        if settings:
            words |= attack_words(settings, seed)
        if session.origin is not None and session.attacked_by:
            words["attacked"] = OTHERWISE if attacked_otherwise(session) else YES
        if visit.page == "purify":
            words |= purifier_words(session.purify, session.purify_seed)
        step = visit.asked.get("step", "") if visit.page in STEPPED and session.scan else ""
        words |= {"section": visit.section, "step": visit.step or step} | visit.words
    if visit.class_view:
        words["view"] = CLASS
    return {name: word for name, word in words.items() if word}


def _scan_words(session: Session) -> dict[str, str]:
    scan, frame, window = session.target()
    if scan is None:
        return {}
    words = {"sample": session.sample} if session.sample else {"scan": OWN}
    if frame != scan.default_frame:
        words["slice"] = str(frame + 1)
    words["window"] = window_word(window)
    if session.classifier and session.classifier != bundle(session.bundle).default_classifier:
        words["classifier"] = session.classifier
    return words | {"seed": str(session.seed)}


def go_to(page: str) -> NoReturn:
    """Open another page, by one entry in the browser's history."""
    from pages.shared.session import current_session

    # With other words than stand in the address, Streamlit would enter the page that is left once more.
    st.switch_page(f"pages/{page}/page.py", query_params=parse_qsl(current_session().visit.written))
