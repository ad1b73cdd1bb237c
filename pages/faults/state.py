"""One visitor's damaged network: which bits are flipped, what the guard may do, and what runs on the Faults page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pages.shared.page_state import PageState
from pages.shared.runtime import bundle

if TYPE_CHECKING:
    from core import Bundle, Examination
    from core.faults import Fault, SearchStep
    from core.faults.sample_answers import SampleAnswers
    from core.faults.view import GuardReport, Layer, Network
    from pages.shared.session import Session

SECTION, FLIP = "faults-section", "Flip"


@dataclass(frozen=True)
class Answer:
    """One scan before and after the damage.

    choices: everything that it depends on, scan first; watch: what the guard did, None where it is off or nothing is
    flipped; digest: SHA-256 of the network that all visitors share, taken afterwards.
    """

    choices: tuple[object, ...]
    before: Examination
    after: Examination
    watch: GuardReport | None
    digest: str

    @property
    def withheld(self) -> bool:
        """Whether the guard, which only detects, holds the answer back."""
        return bool(self.watch and self.watch.withholds)


class Others(NamedTuple):
    """What the damage does to the sample scans, and what that depends on: the flips and the guard."""

    choices: tuple[object, ...]
    found: SampleAnswers


@dataclass
class Study:
    """Measured live: `rows` as `core.faults.record` has them, so that charts take both.

    n: scans; trials: campaigns of so many each; form: number format of the flips.
    """

    what: str
    n: int
    trials: int
    form: str
    seed: int
    rows: list[Any] = field(default_factory=list)


@dataclass(kw_only=True)
class FaultsState(PageState):
    """A network of a bundle, and what this visitor has done to it.

    The damage is a list: the shared network is never touched, and every answer is computed on a copy that is thrown
    away afterwards. It stays when another scan is chosen, and goes with the bundle or the network.

    Attributes
    ----------
    bundle, network : str
        Names of the bundle, and of a classifier in it or ``mae``.
    layers : tuple of Layer
        The network's, in the order that they are run.
    form : str
        The number format whose bits are shown and flipped.
    tensor, index : str, int
        The number that is looked at.
    flips : list of Fault
        All that is flipped now, in the order in which it was.
    draws : int
        How many random draws there were: each is another one.
    guard : str
        ``off``, ``detect`` or ``repair``.
    answer : Answer or None
        The last result, with the choices it belongs to; it goes with the scan.
    others : Others or None
        The last answers to the sample scans.
    digest : str or None
        SHA-256 of the shared network when this visitor first asked: it must stay that.
    studies : dict
        What was measured live on the sample scans, by what it is.
    search : list of SearchStep
        The last live search for the worst bits, as far as it came.
    run : Job or None
        The one thing that runs, or ran last; `doing` says which, `total` how many steps it takes.
    """

    bundle: str
    network: str
    layers: tuple[Layer, ...]
    form: str
    tensor: str
    index: int = 0
    flips: list[Fault] = field(default_factory=list)
    draws: int = 0
    guard: str = "off"
    answer: Answer | None = None
    others: Others | None = None
    digest: str | None = None
    studies: dict[object, Study] = field(default_factory=dict)
    search: list[SearchStep] = field(default_factory=list)

    @property
    def models(self) -> Bundle:
        """The bundle."""
        return bundle(self.bundle)

    @property
    def module(self) -> Network:
        """The undamaged network; shared, so never to be modified."""
        from core.faults.view import network_of

        return network_of(self.models, self.network)

    @property
    def layer(self) -> Layer:
        """The layer of the number that is looked at."""
        return next(layer for layer in self.layers if self.tensor in layer.tensors)

    @property
    def measurable(self) -> bool:
        """Whether it gives labels, so that there is an accuracy."""
        return self.network in self.models.classifiers

    def toggle(self, *faults: Fault) -> None:
        """Flip each bit; one that is flipped already is flipped back."""
        for fault in faults:
            if fault in self.flips:
                self.flips.remove(fault)
            else:
                self.flips.append(fault)

    def store_as(self, form: str) -> None:
        """Keep the network's numbers in another format, undamaged: a bit of the one is no bit of the other.

        What is being measured in the one is stopped, as the page follows what is measured in the other.
        """
        if form != self.form:
            self.stop()
            self.form, self.flips = form, []

    def look_at(self, tensor: str, index: int = 0) -> None:
        """Look at one number."""
        self.tensor, self.index = tensor, index

    def outlives(self, attacked_copy: bool) -> bool:
        """The damage is the network's and stays; what it did to a scan goes."""
        self.answer = None
        return True


def current_state(session: Session, network: str) -> FaultsState:
    """The visitor's damaged network; of another bundle or network it is a sound one again, and what ran is stopped."""
    choices = (session.bundle, network)
    return session.current(FaultsState, choices) or session.keep(_new_state(choices))


def _new_state(choices: tuple[str, str]) -> FaultsState:
    from core.faults.view import forms, layers, network_of

    name, network = choices
    module = network_of(bundle(name), network)
    shown = layers(module)
    first = next(iter(shown[0].tensors))
    return FaultsState(choices=choices, bundle=name, network=network, layers=shown, form=forms(module)[0], tensor=first)
