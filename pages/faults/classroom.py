"""Faults in the view for a class: the bits of one number, what it is worth, and what the network answers, in one
picture."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from pages.faults.bits import bits_here
from pages.faults.verdict import said
from pages.faults.words import counted_flips, value_text
from pages.shared.charts import BACKGROUNDS, COLOURS, theme
from pages.shared.visit.stage import say, staged
from pages.shared.words import percent

if TYPE_CHECKING:
    from pages.faults.answer import Answer
    from pages.faults.bits import Bit
    from pages.faults.state import FaultsState
    from pages.faults.verdict import Said

WIDTH, HEIGHT, EDGE, GAP = 1600, 640, 20, 26
GLYPH = 0.6  # of the type's size: how wide a letter of a sans serif face is
FIRST = "The network is sound, and says **{}**. **F** flips a bit of it."


def draw_flip(state: FaultsState, answer: Answer, others: str) -> None:
    """One sentence and the picture; `others`: what became of the sample scans, if anything."""
    before, now = said(answer.before), said(answer.after, answer.withheld)
    say(_told(state, before, now, others))
    place = (state.tensor, state.index)
    before_value, after_value, fields = bits_here(state)
    flipped = any(bit.flipped for bits in fields.values() for bit in bits)
    value = f"{value_text(before_value)} → {value_text(after_value)}" if flipped else value_text(before_value)
    words = f"Number {place[1]:,} of {place[0]}: {value}. Before: {_line(before)}. Now: {_line(now)}."
    with staged():
        st.image(picture(fields, place, value, before, now), width="stretch", output_format="PNG", alt=words)


def _told(state: FaultsState, before: Said, now: Said, others: str) -> str:
    if not state.flips:
        return FIRST.format(_line(before))
    many = counted_flips(len(state.flips))
    if _line(before) == _line(now):
        return f"**{many}**, and still {_line(now)}. {others}"
    return f"**{many}**: from {_line(before)} to **{_line(now)}**. {others}"


def _line(told: Said) -> str:
    return f"{told.title}, {percent(told.answer.confidence)}" if told.answer else told.title


def picture(fields: dict[str, list[Bit]], place: tuple[str, int], value: str, before: Said, now: Said) -> str:
    """All of it as SVG."""
    *_, ink = COLOURS[theme()]
    orange, paper = COLOURS[theme()][1], BACKGROUNDS[theme()]
    parts, left = [], float(EDGE)
    count = sum(map(len, fields.values()))
    cell = (WIDTH - 2 * EDGE - GAP * (len(fields) - 1)) / count
    for name, bits in fields.items():
        width = cell * len(bits)
        parts.append(_text(left + width / 2, 40, name, 34, ink, "middle", room=max(width, 60)))
        for bit in bits:
            fill, on = (orange, paper) if bit.flipped else ("none", ink)
            stroke = 5 if bit.flipped else 1.5
            parts.append(
                f'<rect x="{left + 2:.1f}" y="62" width="{cell - 4:.1f}" height="96" rx="6" fill="{fill}" '
                f'stroke="{ink}" stroke-width="{stroke}"/>'
            )
            parts.append(_text(left + cell / 2, 128, str(int(bit.is_set)), 50, on, "middle", bold=bit.flipped))
            if bit.flipped:
                parts.append(_text(left + cell / 2, 196, f"bit {bit.place}", 30, ink, "middle", bold=True))
            left += cell
        left += GAP
    parts.append(_text(EDGE, 254, f"Number {place[1]:,} of {place[0]}", 34, ink))
    parts.append(_text(EDGE, 330, value, 76, ink, bold=True))
    half = (WIDTH - 3 * EDGE) / 2
    for number, (title, told) in enumerate((("Before", before), ("Now", now))):
        x, changed = EDGE + number * (half + EDGE), number == 1 and told.title != before.title
        parts.append(
            f'<rect x="{x:.0f}" y="370" width="{half:.0f}" height="250" rx="12" fill="none" '
            f'stroke="{orange if changed else ink}" stroke-width="{8 if changed else 2}"/>'
        )
        parts.append(_text(x + 24, 418, title, 34, ink))
        parts.append(_text(x + 24, 500, told.title, 76, ink, bold=True, room=half - 48))
        if told.answer:
            parts.append(_text(x + 24, 592, percent(told.answer.confidence), 76, ink, bold=True, room=half - 48))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif">{"".join(parts)}</svg>'
    )


def _text(
    x: float, y: float, text: str, size: float, ink: str, anchor: str = "start", bold: bool = False, room: float = WIDTH
) -> str:
    size = min(size, room / (GLYPH * max(len(text), 1)))
    weight = ' font-weight="700"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.0f}" font-size="{size:.0f}" fill="{ink}" text-anchor="{anchor}"{weight}>'
        f"{escape(text)}</text>"
    )
