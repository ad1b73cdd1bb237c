"""One visitor's damaged network: which bits are flipped, what the guard may do, and what runs on the Faults page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pages.shared.jobs import Run
from pages.shared.runtime import bundle, engine

if TYPE_CHECKING:
    from core import Bundle
    from core.faults import Fault, SearchStep
    from core.faults.view import Layer, Network
    from pages.faults.answer import Answer
    from pages.faults.study import Study
    from pages.shared.session import Session

STOP_SECONDS = 1.0


@dataclass
class FaultBench:
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
    digest : str or None
        SHA-256 of the shared network when this visitor first asked: it must stay that.
    studies : dict
        What was measured live on the sample scans, by what it is.
    search : list of SearchStep
        The last live search for the worst bits, as far as it came.
    run : Run or None
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
    digest: str | None = None
    studies: dict[object, Study] = field(default_factory=dict)
    search: list[SearchStep] = field(default_factory=list)
    run: Run | None = None
    doing: object = None
    total: int = 1

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

    @property
    def running(self) -> bool:
        """Whether more steps are to come."""
        return self.run is not None and not self.run.done

    def toggle(self, *faults: Fault) -> None:
        """Flip each bit; one that is flipped already is flipped back."""
        for fault in faults:
            if fault in self.flips:
                self.flips.remove(fault)
            else:
                self.flips.append(fault)

    def store_as(self, form: str) -> None:
        """Keep the network's numbers in another format, undamaged: a bit of the one is no bit of the other."""
        if form != self.form:
            self.form, self.flips = form, []

    def look_at(self, tensor: str, index: int = 0) -> None:
        """Look at one number."""
        self.tensor, self.index = tensor, index

    def stop(self) -> None:
        """Stop what runs."""
        if self.run:
            self.run.stop()

    def start(self, doing: object, total: int, steps: Iterator[object]) -> None:
        """Run something in the worker, and drop what ran before."""
        self.stop()
        self.doing, self.total = doing, total
        self.run = Run(engine().worker, steps, lambda _: None)
        self.run.start()


def current_bench(session: Session, network: str) -> FaultBench:
    """The visitor's bench; of another bundle or network it is laid out anew, and what ran is stopped."""
    from core.faults.view import forms, layers, network_of

    bench = session.faults
    if bench is None or (bench.bundle, bench.network) != (session.bundle, network):
        if bench:
            bench.stop()
        module = network_of(bundle(session.bundle), network)
        shown = layers(module)
        first = next(iter(shown[0].tensors))
        bench = session.faults = FaultBench(session.bundle, network, shown, forms(module)[0], first)
    if bench.run and bench.run.stopped:
        bench.run.wait(STOP_SECONDS)  # it is at its last step: not worth drawing it as running once more
    return bench
