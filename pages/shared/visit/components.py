"""The scripts that run beside the page: each a file of this folder that draws nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent


@cache
def component(name: str) -> Any:
    """The component of this name, with the style sheet of the same name where there is one, for the whole page."""
    script, style = HERE / f"{name}.js", HERE / f"{name}.css"
    return st.components.v2.component(
        f"purescan_{name}",
        css=style.read_text(encoding="utf-8") if style.exists() else None,
        js=script.read_text(encoding="utf-8"),
        isolate_styles=False,
    )
