"""What one site sends in a round: in the clear, encrypted, or no more than a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.federate import charts
from pages.shared.records import draw_command, draw_finding
from pages.shared.visit.stage import draw_chart
from pages.shared.words import kilobytes

if TYPE_CHECKING:
    from core.federation.record import FederationRecord

TITLES = {
    "fedavg": "All weights, in the clear (FedAvg)",
    "medfedpure": "Without BatchNorm and head (mixture)",
    "encrypted": "All weights, encrypted (CKKS)",
    "token": "The token of one scan, encrypted",
}
HEIGHT = 260


def draw_crossing(record: FederationRecord) -> None:
    """The finding, the bars, and what they mean."""
    sizes = record.crossing
    shown = {title: sizes[key] for key, title in TITLES.items()}
    texts = [kilobytes(size / 1000) for size in shown.values()]
    draw_finding(told(sizes))
    alt = "; ".join(f"{title}: {text}" for title, text in zip(shown, texts))
    draw_chart(charts.size_bars(shown, texts), HEIGHT, key="federate-bytes", alt=f"Sent by one site in a round. {alt}")
    st.markdown(
        f"- **In the clear** whoever reads along has the weights, and what can be computed from them: see ‘Why bother’ "
        "on Encrypt.\n"
        "- **Encrypted** the server adds what it can’t read; the sites share a key that it hasn’t.\n"
        "- **The token** trains nothing: it is what a site sends to have one scan answered under encryption.\n"
        f"- For the mixture each site gives its whole network away once, {kilobytes(sizes['network'] / 1000)}, after "
        "the last round, personal parts among it."
    )
    st.caption("Of the recorded network; ciphertexts were really made and measured.")
    draw_command(record.command)


def told(sizes: dict[str, int]) -> str:
    """What encryption costs in bytes; from the sizes."""
    return (
        f"A site sends **{kilobytes(sizes['fedavg'] / 1000)}** a round in the clear, "
        f"**{kilobytes(sizes['encrypted'] / 1000)}** encrypted, {sizes['encrypted'] / sizes['fedavg']:.1f} times as "
        f"much; the encrypted token of one scan is **{kilobytes(sizes['token'] / 1000)}**."
    )
