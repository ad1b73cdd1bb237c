"""One number's bits as cells to press, with its value before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from pages.faults.words import FIELDS, value_text

if TYPE_CHECKING:
    from core.faults import Fault
    from pages.faults.state import FaultsState

CELL = 44


def draw_form(state: FaultsState) -> None:
    """Ask in which format the numbers are stored, where there is a choice."""
    from core.faults.view import forms

    known = forms(state.module)
    if len(known) == 1:
        st.caption(f"Held in {known[0]} here: 16 bits a number.")
        return
    key = f"faults-form-{state.bundle}-{state.network}"
    texts = {"float32": "float32: 32 bits", "bfloat16": "bfloat16: 16 bits"}
    about = (
        "How the numbers lie in memory. Another format is another memory: choosing it takes all flips back. In "
        "bfloat16 only the numbers that are hit are rounded."
    )
    st.session_state[key] = state.form
    st.segmented_control(
        "Number format", known, format_func=texts.get, required=True, key=key, help=about,
        on_change=lambda: state.store_as(st.session_state[key]),
    )  # fmt: skip


def draw_bits(state: FaultsState) -> None:
    """The cells by field, and what the number is worth with and without what is flipped in it."""
    from core.faults import Fault

    before, after, fields = bits_here(state)
    _draw_values(before, after, {bit.place for bits in fields.values() for bit in bits if bit.flipped})
    with st.container(horizontal=True, gap="small", key="faults-bits"):
        for field, bits in fields.items():
            with st.container(border=True, width="content", gap="xsmall"):
                last = f" to {bits[-1].place}" if len(bits) > 1 else ""
                st.markdown(f"**{field.capitalize()}**, bit{'s' if last else ''} {bits[0].place}{last}")
                with st.container(horizontal=True, gap="xxsmall"):
                    for bit in bits:
                        fault = Fault(state.tensor, state.index, bit.place, state.form)
                        _draw_cell(state, fault, field, bit.is_set, bit.flipped)


class Bit(NamedTuple):
    """One bit of the number that is looked at: its place from 0, and what it is now."""

    place: int
    is_set: bool
    flipped: bool


def bits_here(state: FaultsState) -> tuple[float, float, dict[str, list[Bit]]]:
    """The number without and with what is flipped in it, and its sign, exponent and mantissa, highest bits first."""
    from core.faults import FORMATS, bits_of
    from core.faults.view import stored_value

    place, form = (state.module, state.tensor, state.index, state.form), FORMATS[state.form]
    flipped = {fault.bit for fault in state.flips if _is_here(state, fault)}
    before, after = stored_value(*place), stored_value(*place, sorted(flipped))
    was, fields = bits_of(before, state.form), dict[str, list[Bit]]()
    for bit in reversed(range(form.bits)):
        fields.setdefault(form.field(bit), []).append(Bit(bit, was[bit] != (bit in flipped), bit in flipped))
    return before, after, fields


def _is_here(state: FaultsState, fault: Fault) -> bool:
    return (fault.kind, fault.tensor, fault.index) == ("weight", state.tensor, state.index)


def _draw_cell(state: FaultsState, fault: Fault, field: str, is_set: bool, is_flipped: bool) -> None:
    """One bit; what is flipped is filled, bold and marked, as colour alone would not do."""
    bit, digit = fault.bit, str(int(is_set))
    label = f"**{digit}\u0332**" if is_flipped else digit
    effect = "flipped; press to flip it back" if is_flipped else f"press to flip it: {FIELDS[field]}"
    st.button(
        label, key=f"bit-{bit}", type="primary" if is_flipped else "secondary", width=CELL,
        help=f"Bit {bit}, {field}, {effect}.", on_click=state.toggle, args=(fault,),
    )  # fmt: skip


def _draw_values(before: float, after: float, flipped: set[int]) -> None:
    text = f"{value_text(before)} → {value_text(after)}" if flipped else value_text(before)
    st.header(f"Value: {text}", anchor=False)
    if flipped:
        bits = ", ".join(str(bit) for bit in sorted(flipped, reverse=True))
        st.caption(f"Flipped here, filled and underlined: bit{'s' if len(flipped) > 1 else ''} {bits}.")
