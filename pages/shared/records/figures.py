"""Recorded conditions, to pick one and in words; and measured shares in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.words import method_title

if TYPE_CHECKING:
    from core.evaluation.operating_points import Condition, Roc, Share


def pick_condition(label: str, conditions: tuple[Condition, ...], key: str, wanted: str) -> Condition | None:
    """Ask for one of the recorded conditions; None, with a sentence, where there are none."""
    if not conditions:
        st.info(f"Not recorded of this classifier: any {label.lower()}.", icon=":material/info:")
        return None
    names = [condition.name for condition in conditions]
    index = names.index(wanted) if wanted in names else 0
    titles = {condition.name: condition_title(condition) for condition in conditions}
    chosen = st.selectbox(label, names, index, titles.__getitem__, key=key, persist_state="session")
    return conditions[names.index(chosen)]


def condition_title(condition: Condition) -> str:
    """A condition in words, such as “PGD, ε = 8/255”."""
    title = method_title(condition.method)
    if condition.benign:
        return f"{title}, severity {condition.strength:g}"
    rest = condition.name.removeprefix(condition.method).strip()
    return f"{title}, ε = {rest}" if rest else title


def share_text(share: Share | None) -> str:
    """A measured share in per cent."""
    return "none" if share is None else f"{100 * share.value:.1f} %"


def span_text(share: Share) -> str:
    """Its interval."""
    return f"{100 * share.low:.1f} to {100 * share.high:.1f} %"


def full_text(share: Share | None) -> str:
    """A measured share with its interval, for tables; none is one of purified scans where nothing was purified."""
    if share is None:
        return "none purified"
    return f"{share_text(share)} ({100 * share.low:.1f} to {100 * share.high:.1f})"


def count_text(share: Share | None) -> str:
    """A measured share in scans; none as for `full_text`."""
    return f"{share.hits} of {share.n}" if share else "none purified"


def area_text(curve: Roc) -> str:
    """The area under a curve with its interval, for tables."""
    return f"{curve.auc:.3f} ({curve.interval[0]:.3f} to {curve.interval[1]:.3f})"
