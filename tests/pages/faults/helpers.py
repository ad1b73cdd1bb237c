"""What the tests of the Faults page share."""

from collections.abc import Callable

import torch
from streamlit.testing.v1 import AppTest

from core.faults import bits_of
from core.faults.view import stored_value
from core.models.resnet import NarrowResNet18
from core.scans import sample_scans
from pages.faults.state import FaultsState
from pages.shared.session import Session

Choose = Callable[[AppTest, str], AppTest]
SCAN, OTHER = [sample for sample in sample_scans("brain-mri") if sample.key.startswith("tumour")][:2]
BIAS, WEIGHT = "network.fc.bias", "network.bn1.weight"
SECTIONS = ("Flip", "Curves", "Worst case", "Side by side")
ALL_STUDIES = {"resnet18": 0.02, "plain": 0.01}


def small_network() -> torch.nn.Module:
    """A classifier without thresholds, of random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        network = NarrowResNet18(1, 2, width=4, shrink=2)
    return network.eval().requires_grad_(False)


def bench(app: AppTest) -> FaultsState:
    session: Session = app.session_state["session"]
    return session.state_of(FaultsState)


def section(app: AppTest, name: str) -> AppTest:
    app.segmented_control(key="faults-section").set_value(name).run()
    assert not app.exception and not app.error
    return app


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception
    return app


def guard(app: AppTest, mode: str) -> AppTest:
    app.segmented_control(key="faults-guard-brain-mri-resnet18").set_value(mode).run()
    assert not app.exception
    return app


def look_at(app: AppTest, tensor: str, index: int = 0) -> AppTest:
    bench(app).look_at(tensor, index)
    return app.run()


def flip_the_answer(app: AppTest) -> AppTest:
    """A bias beyond all bounds for the class that wasn't the answer."""
    answer = bench(app).answer.before.undefended
    other = 1 - list(answer.probabilities).index(answer.label)
    value = stored_value(bench(app).module, BIAS, other, "float32")
    look_at(app, BIAS, other)
    # Bit 30 makes a small number huge; of a negative one the sign has to go as well.
    press(app, "bit-30")
    return press(app, "bit-31") if value < 0 else app


def _nan_bits(page: AppTest) -> list[int]:
    """The bits to flip for a value with all of its exponent, and some of its mantissa, set."""
    bits = bits_of(stored_value(bench(page).module, WEIGHT, 0, "float32"))
    return [bit for bit in range(22, 31) if not bits[bit]]
