"""The panels of the timeline as SVG: large type for the back row, and shapes and words beside every colour."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from pages.shared.charts import palette

WIDTH, HEIGHT = 300, 466
LEFT, RIGHT, TOP, BOTTOM = 10, 290, 58, 338  # of what is drawn
MARGIN = 54  # above and below a curve, for the values at its ends
TITLE, TEXT, VALUE = 33, 27, 38
GLYPH = 0.6  # letters of a bold sans serif face are about so wide, in shares of the type's size
HATCH = (
    '<pattern id="hatch" width="14" height="14" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="14" height="14" fill="{fill}"/><rect width="5" height="14" fill="{line}"/></pattern>'
)


class Bar(NamedTuple):
    """A share as a bar: what stands under it, in [0, 1], and whether it is hatched."""

    name: str
    share: float
    hatched: bool = False


def panel(title: str, body: str, lines: Sequence[str]) -> str:
    """One panel: its title, what is drawn, and up to three lines below it."""
    (_, orange, *_), ink = palette()
    below = [_text(line, WIDTH / 2, BOTTOM + 40 + 36 * place, TEXT) for place, line in enumerate(lines)]
    hatch = HATCH.format(fill=orange, line=ink)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f"<defs>{hatch}</defs>{_text(title, WIDTH / 2, 38, TITLE, bold=True)}{body}{''.join(below)}</svg>"
    )


def curve(points: Sequence[tuple[int, float]], ends: tuple[str, str], dashed: bool) -> str:
    """A share over steps, from a circle to a square, each with its value; `dashed` where only its ends are known."""
    (blue, orange, *_), ink = palette()
    first, last = points[0][0], points[-1][0]
    places = [(_across((step - first) / max(last - first, 1), 34), _up(share)) for step, share in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    grid = "".join(
        f'<line x1="{LEFT}" x2="{RIGHT}" y1="{_up(share)}" y2="{_up(share)}" stroke="{ink}" opacity="0.25"/>'
        for share in (0, 0.5, 1)
    )
    (x, y), (far, low) = places[0], places[-1]
    dash = ' stroke-dasharray="14 10"' if dashed else ""
    return (
        f'{grid}<polyline points="{path}" fill="none" stroke="{blue}" stroke-width="7" stroke-linejoin="round"{dash}/>'
        f'<circle cx="{x}" cy="{y}" r="11" fill="{blue}" stroke="{ink}" stroke-width="3"/>'
        f'<rect x="{far - 10}" y="{low - 10}" width="20" height="20" fill="{orange}" stroke="{ink}" stroke-width="3"/>'
        + _text(ends[0], LEFT, y - 20, VALUE, bold=True, anchor="start")
        + _text(ends[1], RIGHT, low + (46 if low > y else -20), VALUE, bold=True, anchor="end")
    )


def meter(ratio: float, words: str) -> str:
    """How high something stands against its threshold: hatched above, plain below it."""
    (blue, *_), ink = palette()
    top = max(ratio, 1.0) * 1.25
    height = (BOTTOM - TOP) * ratio / top
    line = BOTTOM - (BOTTOM - TOP) / top
    fill = "url(#hatch)" if ratio > 1 else blue
    over = BOTTOM - height - 12
    return (
        f'<rect x="105" y="{BOTTOM - height:.1f}" width="90" height="{height:.1f}" fill="{fill}" stroke="{ink}" '
        f'stroke-width="3"/><line x1="{LEFT}" x2="{RIGHT}" y1="{BOTTOM}" y2="{BOTTOM}" stroke="{ink}" '
        f'stroke-width="3"/><line x1="{LEFT}" x2="{RIGHT}" y1="{line:.1f}" y2="{line:.1f}" stroke="{ink}" '
        f'stroke-width="5" stroke-dasharray="12 8"/>'
        + _text(words, WIDTH / 2, over if ratio > 1 else min(over, line - 12), VALUE, bold=True)
        + _text("threshold", RIGHT, line - 10, 22, anchor="end")
    )


def bars(shares: Sequence[Bar], values: Sequence[str]) -> str:
    """Shares side by side."""
    (blue, *_), ink = palette()
    drawn, room = [], (RIGHT - LEFT) / len(shares)
    low, high = BOTTOM - 34, TOP + 34
    for place, (bar, value) in enumerate(zip(shares, values)):
        middle, height = LEFT + room * (place + 0.5), max(2.0, (low - high) * bar.share)
        fill = "url(#hatch)" if bar.hatched else blue
        drawn.append(
            f'<rect x="{middle - 30:.1f}" y="{low - height:.1f}" width="60" height="{height:.1f}" fill="{fill}" '
            f'stroke="{ink}" stroke-width="3"/>'
            + _text(value, middle, low - height - 10, 28, bold=True, room=room - 6)
            + _text(bar.name, middle, BOTTOM - 6, 21, room=room - 4)
        )
    return "".join(drawn) + f'<line x1="{LEFT}" x2="{RIGHT}" y1="{low}" y2="{low}" stroke="{ink}" stroke-width="3"/>'


def picture(png: bytes) -> str:
    """A PNG, whole."""
    data = b64encode(png).decode()
    return (
        f'<image x="{LEFT}" y="{TOP - 6}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP + 12}" '
        f'preserveAspectRatio="xMidYMid meet" href="data:image/png;base64,{data}"/>'
    )


def note(words: Sequence[str]) -> str:
    """Words where there is nothing to draw."""
    return "".join(_text(line, WIDTH / 2, 180 + 36 * place, TEXT) for place, line in enumerate(words))


def _across(share: float, margin: float) -> float:
    return round(LEFT + margin + share * (RIGHT - LEFT - 2 * margin), 1)


def _up(share: float) -> float:
    return round(BOTTOM - MARGIN - share * (BOTTOM - TOP - 2 * MARGIN), 1)


def _text(
    words: str, x: float, y: float, size: float, *, bold: bool = False, anchor: str = "middle", room: float = 0
) -> str:
    """Words as large as `size`, or as `room`, the panel's width where it is 0, has place for."""
    _, ink = palette()
    fitting = min(size, (room or WIDTH - 8) / (GLYPH * max(len(words), 1)))
    weight = ' font-weight="700"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{ink}" font-family="sans-serif" font-size="{fitting:.1f}"{weight} '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )
