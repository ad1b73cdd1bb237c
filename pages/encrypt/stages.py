"""Client, server, client: what each holds, what crosses, how long it takes, and what comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go
import streamlit as st

from pages.shared.charts import COLOURS
from pages.shared.visit.stage import on_stage, say, staged
from pages.shared.words import heading, kilobytes, number, percent, plain

if TYPE_CHECKING:
    from core.encryption import EncryptedPrediction, EncryptStep
    from pages.encrypt.state import EncryptState

TOKEN_HEIGHT = 150
SHOWN_BYTES = 48


def draw_answer(state: EncryptState, answer: EncryptedPrediction) -> None:
    """The decrypted answer in large letters, and whether it is the one in the clear."""
    from core.evaluation.encrypted import shares

    share = float(shares(answer.encrypted_logits).max())
    label = state.models.classes[answer.label_encrypted]
    if on_stage():
        draw_to_class(state, answer, f"{plain(heading(label))}, {percent(share)}")
    st.header(f"{plain(heading(label))} · {percent(share)}", anchor=False)
    if answer.label_encrypted == answer.label_plain:
        st.badge("Same answer as in the clear", icon=":material/check_circle:", color="green")
    else:
        clear = plain(state.models.classes[answer.label_plain])
        st.badge(f"In the clear: {clear}", icon=":material/swap_horiz:", color="orange")
    st.markdown(f"The server computed it on numbers that it can’t read, in {1000 * answer.seconds['server']:.1f} ms.")
    _draw_whose(state)


def _draw_whose(state: EncryptState) -> None:
    """Which network answered, where it isn't the one of the other pages, and what each learned from."""
    other = state.before.undefended
    if other is None or other.classifier == state.classifier:
        return
    learned = [", ".join(state.models.collections(name)) for name in (state.classifier, other.classifier)]
    differ = all(learned) and learned[0] != learned[1]
    apart = ", and from other scans ({} against {})".format(*map(plain, learned)) if differ else ""
    st.markdown(
        f"It is the answer of **{plain(state.classifier)}**, the vision transformer: its last layers, on one token, "
        f"are small enough for encrypted arithmetic. On the other pages **{plain(other.classifier)}** answers, "
        f"here {plain(other.label)} · {percent(other.confidence)}: it learned apart{apart}."
    )


def draw_scan_to_class(state: EncryptState, sentence: str) -> bool:
    """The scan, before anything is asked; whether there is a class to show it to."""
    from core.explanation import overlays

    shown = on_stage()
    if shown:
        say(sentence)
        with staged():
            about, exam = "The scan stays with you", state.before
            picture = overlays.model_png(exam.pixels, exam.frame.shape, exam.spacing)
            st.image(picture, about, "stretch", output_format="PNG", alt=f"Scan {exam.file}")
    return shown


def draw_to_class(state: EncryptState, answer: EncryptedPrediction, said: str) -> None:
    """What stays, and all that the server sees of it, side by side."""
    from core.explanation import overlays

    same = "the answer in the clear" if answer.label_encrypted == answer.label_plain else "not the answer in the clear"
    server = next(step for step in state.steps if step.stage == "server")
    say(
        f"**{said}**: {same}, computed in {_ms(server)} on numbers that the server can’t read. "
        f"{_size(server.bytes_up)} up, {_size(server.bytes_down)} down."
    )
    scan = overlays.model_png(state.before.pixels, state.before.frame.shape, state.before.spacing)
    with staged():
        grid = st.grid(2, min_column_width=250, gap="medium")
        grid.image(scan, "The scan stays with you", "stretch", output_format="PNG", alt=f"Scan {state.before.file}")
        about = "All that the server sees of it"
        grid.image(overlays.bytes_png(server.sent), about, "stretch", output_format="PNG", alt=f"{about}: noise")


def draw_stages(state: EncryptState) -> None:
    """Three columns: the client before, the server, the client after."""
    steps = {step.stage: step for step in state.steps}
    grid = st.grid(3, min_column_width=250, gap="medium")
    with grid.container(border=True, height="stretch", key="encrypt-client"):
        st.subheader("You", anchor=False)
        _draw_client(state, steps)
    with grid.container(border=True, height="stretch", key="encrypt-server-side"):
        st.subheader("The server", anchor=False)
        _draw_server(steps)
    with grid.container(border=True, height="stretch", key="encrypt-back"):
        st.subheader("You again", anchor=False)
        _draw_back(state)


def _draw_client(state: EncryptState, steps: dict[str, EncryptStep]) -> None:
    from core.explanation import overlays

    picture = overlays.thumbnail_png(state.before.pixels, state.before.frame.shape, state.before.spacing)
    st.image(picture, "The scan stays with you", 130, output_format="PNG", alt=f"Scan {state.before.file}")
    alt = "The scan as 768 numbers, its class token: bars from "
    low, high = float(state.token.min()), float(state.token.max())
    how = {"height": TOKEN_HEIGHT, "config": {"displayModeBar": False}, "key": "encrypt-token"}
    st.plotly_chart(token_bars(state.token), alt=f"{alt}{number(low)} to {number(high)}", **how)
    st.markdown("So does its **token**, 768 numbers that the network makes of it.")
    if "keygen" in steps:
        keys = steps["keygen"]
        what = "no key that computes, as this head needs none" if keys.bytes_up < 1000 else "keys that compute"
        st.markdown(f"**Keys** made in {_ms(keys)}. The secret one stays; sent are {_size(keys.bytes_up)}: {what}.")
    if "encrypt" in steps:
        st.markdown(f"**Encrypted** in {_ms(steps['encrypt'])}.")


def _draw_server(steps: dict[str, EncryptStep]) -> None:
    from core.explanation import overlays

    if "server" not in steps:
        st.markdown("Has seen nothing yet.")
        return
    step = steps["server"]
    st.image(
        overlays.bytes_png(step.sent),
        "All that it sees of the scan",
        "stretch",
        output_format="PNG",
        alt="The ciphertext’s bytes: noise",
    )
    st.code(" ".join(f"{byte:02x}" for byte in step.sent[-SHOWN_BYTES:]), language=None, wrap_lines=True)
    st.markdown(f"**{_size(step.bytes_up)}** up, **{_size(step.bytes_down)}** down, computed in **{_ms(step)}**.")


def _draw_back(state: EncryptState) -> None:
    answer = state.answer
    if answer is None:
        st.markdown("Waiting for the answer.")
        return
    rows = [
        {"Class": heading(name), "In the clear": f"{clear:.4f}", "Decrypted": f"{back:.4f}"}
        for name, clear, back in zip(state.models.classes, answer.plain_logits, answer.encrypted_logits)
    ]
    st.markdown("Logits, decrypted with the secret key:")
    st.table(rows, hide_index=True)
    st.markdown(f"They differ by **{number(answer.max_error)}** at most.")
    st.markdown(
        f"**Decrypted** in {1000 * answer.seconds['decrypt']:.1f} ms, and rounded, as the error of a decryption tells "
        "of the key."
    )
    st.caption("The keys were made for this question and have been dropped.")


def token_bars(token) -> go.Figure:
    """The token's numbers side by side."""
    colours = COLOURS["dark" if st.context.theme.type == "dark" else "light"]
    figure = go.Figure(go.Bar(y=token, marker={"color": colours[0], "line": {"width": 0}}, hoverinfo="skip"))
    font = {"size": 13, "color": colours[2]}
    figure.update_xaxes(visible=False, fixedrange=True)
    figure.update_yaxes(tickfont=font, nticks=3, fixedrange=True)
    figure.update_layout(bargap=0, showlegend=False, margin={"l": 4, "r": 4, "t": 4, "b": 4})
    return figure


def _ms(step: EncryptStep) -> str:
    return f"{1000 * step.seconds:.1f} ms"


def _size(count: int) -> str:
    return kilobytes(count / 1000)
