"""What the address says of the damage: the network, the format of its numbers, the guard, and every flipped bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.faults.guard import GUARDS
from pages.faults.words import counted_flips
from pages.shared.visit.asked import refuse

if TYPE_CHECKING:
    from core import Bundle
    from core.faults import Fault
    from pages.faults.state import FaultsState
    from pages.shared.session import Session

MOST = 64
APART, ACTIVATION = "~", "@"


def network_key(models: Bundle) -> str:
    """The key of the widget that asks for the network."""
    return f"faults-network-{models.name}"


def chosen_network(session: Session, models: Bundle) -> str:
    """Which network is damaged: the one of the address, else the last, else the bundle's first."""
    from core.faults.view import networks

    names, key = networks(models), network_key(models)
    asked = session.visit.asked.pop("network", None)
    if asked and asked not in names:
        refuse(session, {"network": asked})
    elif asked is not None:
        session.faulty = st.session_state[key] = asked or models.default_classifier
    now = st.session_state.get(key) or session.faulty
    session.faulty = now if now in names else models.default_classifier
    return session.faulty


def take_asked(session: Session, state: FaultsState) -> None:
    """Damage the network as the address asks for."""
    from core.faults.view import forms

    asked, known = session.visit.asked, forms(state.module)
    wrong = {}
    form, guard, flips = (asked.pop(name, None) for name in ("form", "guard", "flips"))
    if form is not None:
        if form in ("", *known):
            state.store_as(form or known[0])
        else:
            wrong["form"] = form
    if guard is not None:
        if guard in ("", *GUARDS):
            key = f"faults-guard-{state.bundle}-{state.network}"
            state.guard = st.session_state[key] = guard or next(iter(GUARDS))
        else:
            wrong["guard"] = guard
    if flips is not None:
        try:
            _flip(state, asked_flips(flips, state, session))
        except ValueError:
            wrong["flips"] = flips
    refuse(session, wrong)


def _flip(state: FaultsState, faults: list[Fault]) -> None:
    state.flips = faults
    if weights := [fault for fault in faults if fault.kind == "weight"]:
        state.look_at(weights[-1].tensor, weights[-1].index)


def flips_word(faults: list[Fault]) -> str:
    """Flips as a word: ``conv1.weight~12~30``, commas between them, and @ before what hits an activation."""
    marks = {"activation": ACTIVATION}
    return ",".join(
        f"{marks.get(fault.kind, '')}{APART.join((fault.tensor, str(fault.index), str(fault.bit)))}" for fault in faults
    )


def asked_flips(word: str, state: FaultsState, session: Session) -> list[Fault]:
    """The flips of such a word; ValueError where this network has no such bits."""
    from core.faults import Fault
    from core.faults.sites import check_fault

    parts = word.split(",") if word else []
    if len(parts) > MOST:
        raise ValueError("flips")
    faults = []
    for part in parts:
        tensor, index, bit = part.removeprefix(ACTIVATION).split(APART)
        kind = "activation" if part.startswith(ACTIVATION) else "weight"
        faults.append(Fault(tensor, _whole(index), _whole(bit), state.form, kind))
        check_fault(state.module, faults[-1])
    _check_activations(faults, state, session)
    return list(dict.fromkeys(faults))


def _whole(digits: str) -> int:
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 12:
        raise ValueError(digits)
    return int(digits)


def _check_activations(faults: list[Fault], state: FaultsState, session: Session) -> None:
    """How large an activation is, only a scan tells."""
    from core.faults.view import activation_sizes
    from pages.shared.examinations import examination

    hit = [fault for fault in faults if fault.kind == "activation"]
    if not hit:
        return
    if session.scan is None or not state.measurable:
        raise ValueError("flips")
    sizes = activation_sizes(state.module, examination(session).pixels)
    if any(fault.index >= sizes.get(fault.tensor, 0) for fault in hit):
        raise ValueError("flips")


def note_damage(session: Session, state: FaultsState) -> None:
    """Have the damage stand in the address, as far as that has room for it."""
    from core.faults.view import forms

    usual = {"network": state.models.default_classifier, "form": forms(state.module)[0], "guard": next(iter(GUARDS))}
    now = {"network": state.network, "form": state.form, "guard": state.guard}
    words = {name: word for name, word in now.items() if word != usual[name]}
    if len(state.flips) <= MOST:
        words["flips"] = flips_word(state.flips)
    else:
        st.caption(f"{counted_flips(len(state.flips))} are too many for the address, which begins without them.")
    session.visit.words = words
