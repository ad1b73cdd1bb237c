"""A number for the back row: as wide as the page allows, which no heading is."""

from html import escape

import streamlit as st

INK = {"light": "#14212b", "dark": "#ffffff"}
# Digits and signs of a bold sans serif face are about so wide, in shares of the type's size.
GLYPH = 0.62
WIDTH = 420


def draw_large_number(text: str, about: str, room: int = 7) -> None:
    """A text in letters so large that `room` of them fill its place; `about` is what it is read out as."""
    ink = INK["dark" if st.context.theme.type == "dark" else "light"]
    size = WIDTH / (GLYPH * max(len(text), room))
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {1.1 * size:.0f}" width="{WIDTH}" '
        f'height="{1.1 * size:.0f}"><text x="0" y="{0.85 * size:.0f}" fill="{ink}" font-family="sans-serif" '
        f'font-weight="700" font-size="{size:.0f}">{escape(text)}</text></svg>'
    )
    st.image(picture, width="stretch", alt=about)
