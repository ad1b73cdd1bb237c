"""What the program is about, as a living picture: a scan, the same while it is attacked, and purified."""

from __future__ import annotations

import json
from base64 import b64decode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import streamlit as st

from pages.shared.viewer.files import address_of
from pages.shared.words import heading, percent

HERE = Path(__file__).parent
STORY = HERE.parents[1] / "assets" / "home" / "story.json"
METHODS = {"pgd": "PGD"}


def draw_story() -> None:
    """Draw what was recorded, and where it is from."""
    story = recorded()
    _component()(key="story", data={"stages": stages(story)})
    st.caption(
        f"{story['source']} A recorded run: of {story['fooled']} samples that this attack fools, the defence brings "
        f"{story['brought_back']} back. The bar is the probability of “{_label(story)}”."
    )


@cache
def recorded() -> dict[str, Any]:
    """What `training.publish.home_story` has written."""
    return json.loads(STORY.read_text(encoding="utf-8"))


def stages(story: dict[str, Any]) -> list[dict[str, Any]]:
    """The three pictures with their frames, in words."""
    label = _label(story)
    attack, t = story["attack"], story["t_star"]
    method = METHODS.get(attack["method"], attack["method"])
    bound = f"no pixel moved by more than {attack['eps']:g}/255"
    noisy, estimate = story["purified"][0], story["purified"][-1]
    return [
        _stage("The scan", [_frame(story["scan"][0], label, "As the classifier is given it.")]),
        _stage(
            "Attacked",
            [_frame(one, label, f"{method}, step {one['step']}: {bound}.") for one in story["attacked"]],
        ),
        _stage(
            "Flagged, and purified",
            [
                _frame(noisy, label, f"Noise drowns the attack: diffusion step {t}."),
                _frame(estimate, label, "A diffusion model drew what is likely below the noise."),
            ],
        ),
    ]


def _label(story: dict[str, Any]) -> str:
    answer = story["scan"][0]["answer"]
    return max(answer, key=answer.__getitem__)


def _stage(title: str, frames: list[dict[str, Any]]) -> dict[str, Any]:
    return {"title": title, "alt": f"{title}: one axial slice of a brain", "frames": frames}


def _frame(one: dict[str, Any], label: str, about: str) -> dict[str, Any]:
    """`label` is the class whose probability the bar follows."""
    answer, (png, digest) = one.get("answer"), _png(one["png"])
    shown = {"url": address_of(png, digest, "image/png", f"story-{digest}"), "about": about}
    if answer is None:
        return shown | {"answer": ["…", ""]}
    said = max(answer, key=answer.__getitem__)
    return shown | {"answer": [heading(said), percent(answer[said])], "share": answer[label]}


@cache
def _png(encoded: str) -> tuple[bytes, str]:
    """A picture and its digest, which is its name."""
    png = b64decode(encoded)
    return png, sha256(png).hexdigest()


@cache
def _component() -> Any:
    html, css, js = ((HERE / f"story.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    return st.components.v2.component("purescan_story", html=html, css=css, js=js)
