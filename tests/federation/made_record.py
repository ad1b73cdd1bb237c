"""A made-up record of a federation, as `training.measure.federation` would write one."""

import base64
import io
import json

from PIL import Image

from core.federation.record import (
    FEDAVG,
    FLIPPED_SIGNS,
    LOCAL,
    MIXTURE,
    NO_POISON,
    PERSONAL,
    POISONS,
    POOLED,
    RULES,
    WAYS,
)

SITES = ("Amsel", "Birke", "Clara", "Dora", "Emil")
ROUNDS = 3


def picture(level=100):
    """A grey PNG in base64."""
    file = io.BytesIO()
    Image.new("L", (96, 96), level).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def around(value):
    return [value, value - 0.02, value + 0.02]


def site(place, name):
    shown = place > 0
    return {
        "name": name,
        "description": f"The hospital {name}.",
        "source": "made up, CC0" if shown else "made up, licence unknown: no scan of it is shown",
        "train": {"no tumour": 100 * place, "tumour": 200},
        "val": {"no tumour": 10, "tumour": 20},
        "groups": 4,
        "histogram": [0.25] * 4,
        "mean_picture": picture(),
        "pictures": [picture(40 * place)] * 3 if shown else [],
        "followed": "tumour",
    }


def figure(value, auc):
    return {"n": 30, "groups": 4, "accuracy": around(value), "auc": around(value) if auc else None}


def round_figures(number):
    reach = {way: 0.6 + 0.05 * number + 0.03 * place for place, way in enumerate(WAYS)}
    figures = {way: {name: figure(reach[way], name != SITES[0]) for name in (*SITES, POOLED)} for way in WAYS}
    return {"figures": figures, "gate": {name: [0.2] * 5 if number else [1.0, 0, 0, 0, 0] for name in SITES}}


def unseen(name, groups):
    accuracy = {way: around(0.7) for way in WAYS}
    gains = {way: around(0.01) for way in WAYS if way != MIXTURE}
    return {"site": name, "trained_on": list(SITES), "n": 50, "groups": groups, "accuracy": accuracy, "gains": gains}


def poison_row(rule, poison):
    cost = 0.0 if poison == NO_POISON else 0.3 if rule == "mean" and poison == FLIPPED_SIGNS else 0.01
    return {"rule": rule, "poison": poison, "accuracy": around(0.8 - cost), "cost": [cost, cost - 0.005, cost + 0.005]}


def made_record(**parts):
    """The whole content of the file; `parts` in place of its own."""
    gains = {FEDAVG: [0.04, 0.01, 0.07], PERSONAL: [0.0, -0.01, 0.01], LOCAL: [-0.03, -0.05, -0.01]}
    found = {
        "sites": {"rows": [site(place, name) for place, name in enumerate(SITES)]},
        "crossing": {
            "bytes": {"fedavg": 2_000_000, "medfedpure": 1_900_000, "network": 2_000_000, "encrypted": 3_000_000}
            | {"token": 31_000}
        },
        "rounds": {
            "rows": [round_figures(number) for number in range(ROUNDS)],
            "gains": {way: dict.fromkeys((*SITES, POOLED), gain) for way, gain in gains.items()},
            "unseen": [unseen("Fritz", 1)],
        },
        "unseen": {"rows": [unseen("Emil", 6)]},
    }
    found |= {f"poison {rule}": {"rows": [poison_row(rule, poison) for poison in POISONS]} for rule in RULES}
    settings = {"rounds": ROUNDS, "gate_rounds": 2, "steps": 5, "batch": 8, "width": 16, "shrink": 2}
    timed = {name: {**part, "minutes": 0.5} for name, part in (found | parts).items()}
    return {
        "command": "python -m training.measure.federation --data made.npz",
        "basis": {"seed": 0, "settings": settings, "poisoned": SITES[1]},
        "parts": timed,
    }


def write_record(path, **parts):
    """Write it."""
    path.write_text(json.dumps(made_record(**parts)))
