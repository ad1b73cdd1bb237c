"""Federations to compare, each in one process: what their networks are after every round, and sites that lie."""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import nn

from core.federation.averaging import State
from core.federation.coordinator import Coordinator
from core.federation.in_process import hold_rounds
from core.federation.plan import EXPERTS, Order, Plan
from core.federation.record import FLIPPED_LABELS, FLIPPED_SIGNS
from core.federation.site import Answer, Site
from core.federation.strategies import statistics_names
from core.models.experts import MixtureOfExperts


def global_rounds(plan: Plan, sites: Sequence[Site]) -> Iterator[nn.Module]:
    """Yield the network that all sites share, after every round."""
    coordinator = Coordinator(plan)
    for held in hold_rounds(coordinator, [copy(site) for site in sites]):
        if held.phase == EXPERTS:
            yield filled(plan.network(), coordinator.shared)


class Mixtures(NamedTuple):
    """All sites' networks under the mean of their gates, and site → the same under the gate that it keeps."""

    shared: MixtureOfExperts
    own: dict[str, MixtureOfExperts]


def mixture_rounds(plan: Plan, sites: Sequence[Site]) -> Iterator[Mixtures]:
    """Yield the mixtures that the federation would have come to, had it ended after this round, for every round.

    What follows the networks' rounds, the gate's training, is held on the side; the networks train on without it.
    """
    coordinator, sites = Coordinator(plan), [copy(site) for site in sites]
    for held in hold_rounds(coordinator, sites):
        if held.phase != EXPERTS:
            return
        ending = replace(coordinator, start=coordinator.shared, done=plan.rounds, rounds=[])
        yield ended(ending, [copy(site) for site in sites])


def mixtures_of(plan: Plan, sites: Sequence[Site]) -> Mixtures:
    """Return the mixtures that a federation comes to."""
    return ended(Coordinator(plan), [copy(site) for site in sites])


def ended(coordinator: Coordinator, sites: Sequence[Site]) -> Mixtures:
    """Hold the rounds that are left, and return the mixtures."""
    list(hold_rounds(coordinator, sites))
    plan = coordinator.plan
    own = {site.name: filled(plan.mixture(len(sites)), site.network(plan.name)) for site in sites}
    return Mixtures(filled(plan.mixture(len(sites)), coordinator.content()), own)


def local_rounds(plan: Plan, sites: Sequence[Site]) -> Iterator[dict[str, nn.Module]]:
    """Yield site → its network after as many steps as the others had, trained alone."""
    alone = replace(plan, strategy="fedavg", least=1)
    for networks in zip(*(global_rounds(alone, [site]) for site in sites)):
        yield dict(zip((site.name for site in sites), networks))


def filled(network: nn.Module, state: State) -> nn.Module:
    """Return the network with these weights, ready to be measured."""
    network.load_state_dict(dict(state))
    return network.eval()


@dataclass
class SignFlipper(Site):
    """A site that sends the opposite of what it has learned; BatchNorm's statistics stay, as no variance is below 0."""

    def answer(self, order: Order, shared: State, known_partners: int) -> Answer:
        """As every site's, with every change of a weight turned round."""
        answer = super().answer(order, shared, known_partners)
        kept = statistics_names(order.plan.network())
        state = {name: value if name in kept else 2 * shared[name] - value for name, value in answer.state.items()}
        return replace(answer, state=state)


def poisoned(site: Site, poison: str) -> Site:
    """Return the site as one that lies in this way, or as it is; labels are flipped between two classes."""
    if poison == FLIPPED_LABELS:
        return replace(site, labels=1 - site.labels)
    return SignFlipper(site.name, site.pixels, site.labels) if poison == FLIPPED_SIGNS else site
