"""What the tests of the Experts page share."""

import json
from collections.abc import Callable

import numpy as np
import torch
from streamlit.testing.v1 import AppTest

from core.models.experts import resnet_mixture
from core.scans import sample_scans
from pages.experts.state import ExpertsState
from tests.reading import session

Choose = Callable[[AppTest, str], AppTest]
SCAN, OTHER = [sample for sample in sample_scans() if sample.key.startswith("tumour")][:2]
EXPERTS = [{"name": f"Ward {place}", "training": f"What ward {place} saw."} for place in range(3)]
SECTIONS = ("Opinions", "Drag ε", "Where they look", "Map of gates")


def small_mixture() -> torch.nn.Module:
    """Three random experts, of whom the second always says the first class."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = resnet_mixture(1, 2, count=3, width=4, shrink=2)
        with torch.no_grad():
            network.gate.keys.mul_(10)
            for expert in network.experts:
                expert.network.fc.weight.mul_(40)
            network.experts[1].network.fc.bias[0] += 30
    return network.eval().requires_grad_(False)


def bench(app: AppTest) -> ExpertsState:
    return session(app).state_of(ExpertsState)


def section(app: AppTest, name: str) -> AppTest:
    app.segmented_control(key="experts-section").set_value(name).run()
    assert not app.exception and not app.error
    return app


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception and not app.error
    return app


def record_gates(folder, mixture: str = "medfedpure", weights: str = "abc") -> None:
    rng, rows = np.random.default_rng(0), {}
    for name in ("clean", "fgsm 4/255", "fgsm 8/255", "pgd 8/255"):
        rows[name] = rng.dirichlet([1, 1, 1], 6).tolist()
    entry = {"labels": [0, 1] * 3, "conditions": rows, "command": "python -m training.measure.gates", "split": "val"}
    folder.write_text(json.dumps({mixture: entry | {"weights": weights}}))


def everything(app: AppTest) -> list:
    """Every element that can bring help along."""
    kinds = (app.markdown, app.caption, app.selectbox, app.slider, app.button_group)
    return [element for kind in kinds for element in kind]
