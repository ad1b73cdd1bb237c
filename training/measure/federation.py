"""Hold a federation of real sites, and measure what it brings them, what it costs, and what one poisoned site does.

    python -m training.measure.federation --data br35h.npz tcga-lgg.npz cheng.npz

Each site trains on all its training scans, from random weights. After every round four ways are measured on at most
--per-site validation scans of each site: the network of all (FedAvg); the personal mixture (medfedpure; its gate is
trained for that round on the side, and each site's scans are weighed by the gate that the site keeps); each site's
personal network of that federation, without the gate; and a network that the site trained alone for as many steps. At a
site that took no part the mixture has the mean of all gates. Sites with fewer than --smallest training scans take no
part, and are measured on all their scans; so is the site --left-out, on at most --per-site of its scans, under a
federation of the others. The site with the most scans is then poisoned: its labels or the signs of its updates are
flipped, under the mean, the median and Krum (Flower's; see requirements-federation.txt). All in one process, which
comes to the same weights as Flower's processes. Everything goes into assets/federation/record.json; a part that is
there already is not measured again, so that a run that was cut off goes on.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from core.evaluation.datasets import Dataset
from core.evaluation.selection import per_site
from core.federation.plan import Plan
from core.federation.record import FEDAVG, LOCAL, MIXTURE, NO_POISON, PATH, PERSONAL, POISONS, POOLED, RULES, WAYS
from core.federation.site import Site
from core.models.experts import MixtureOfExperts
from core.statistics import bootstrap_interval
from training.files import read_json, write_json
from training.measure.federated.runs import global_rounds, local_rounds, mixture_rounds, mixtures_of, poisoned
from training.measure.federated.sites import crossing_bytes, home_of, site_row, some_scans
from training.measure.sites import area, logits, probabilities
from training.options import command_options, data_options
from training.recipes.cards import command_line
from training.recipes.data import load_collections, without_sites
from training.tasks import BRAIN_MRI

STRATEGIES = {"mean": "fedavg", "median": "median", "krum": "krum"}


def main() -> None:
    run = Measurement(parsed())
    for name, measure in run.parts.items():
        keep(run, name, measure)


def parsed() -> argparse.Namespace:
    parser = command_options(__doc__)
    data_options(parser)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--gate-rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=50, help="of one site in a round")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.03)
    parser.add_argument("--width", type=int, default=16, help="channels of the networks' first stage")
    parser.add_argument("--shrink", type=int, default=4, help="4 looks at a quarter of the resolution")
    parser.add_argument("--per-site", type=int, default=200, metavar="N", help="scans of each site to measure on")
    parser.add_argument("--smallest", type=int, default=100, help="training scans that a site needs to take part")
    parser.add_argument("--left-out", default="FG", metavar="SITE", help="measured under a federation of the others")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=PATH, help="the record")
    return parser.parse_args()


@dataclass
class Measurement:
    """The data, who takes part, and what is measured."""

    options: argparse.Namespace

    def __post_init__(self):
        options = self.options
        self.data = without_sites(load_collections(options.data), options.leave_out)
        self.train, self.val = (
            self.data.split("train"),
            per_site(self.data.split("val"), options.per_site, options.seed),
        )
        counts = {code: self.train.sites.count(code) for code in sorted(set(self.train.sites))}
        taking = [code for code, count in counts.items() if count >= options.smallest and code in self.val.sites]
        if len(taking) < 5 or options.left_out not in taking:
            raise SystemExit(
                f"The data have {len(taking)} sites with enough scans ({', '.join(taking)}); Krum needs five, and the "
                "site --left-out must be one of them."
            )
        # In the order of their names, in which a coordinator combines them.
        self.codes = dict(sorted((home_of(code)[0], code) for code in taking))
        self.largest = max(self.codes, key=lambda name: counts[self.codes[name]])

    @property
    def outsiders(self) -> set[str]:
        """Sites that take no part."""
        return set(self.data.sites) - set(self.codes.values())

    @property
    def parts(self) -> dict[str, Callable[[], dict[str, Any]]]:
        """Name → what measures it."""
        found = {"sites": self.site_rows, "crossing": self.crossing, "rounds": self.rounds}
        found |= {f"poison {rule}": lambda rule=rule: self.poison(rule) for rule in RULES}
        return found | {"unseen": self.without_one}

    @cached_property
    def basis(self) -> dict[str, Any]:
        """What the figures depend on."""
        names = ("rounds", "gate_rounds", "steps", "batch", "lr", "width", "shrink", "per_site", "smallest")
        settings = {name: getattr(self.options, name) for name in names}
        more = {"seed": self.options.seed, "left_out": self.options.left_out, "data_sha256": self.data.sha256}
        return {"settings": settings, "poisoned": self.largest, **more}

    def plan(self, strategy: str) -> Plan:
        """The plan that all runs have in common, but for the strategy."""
        names = ("rounds", "gate_rounds", "steps", "batch", "lr", "width", "shrink", "seed")
        return Plan("recorded", strategy, **{name: getattr(self.options, name) for name in names})

    def sites(self, but: str = "") -> list[Site]:
        """The hospitals that take part, without one."""
        chosen = {name: self.own(self.train, name) for name in self.codes if name != but}
        return [Site(name, own.pixels, own.labels) for name, own in chosen.items()]

    def own(self, data: Dataset, name: str) -> Dataset:
        """The scans of one site."""
        return data.subset(np.flatnonzero(np.array(data.sites) == self.codes.get(name, name)))

    def site_rows(self) -> dict[str, Any]:
        """Who takes part."""
        rows = [
            site_row(code, self.own(self.train, name), self.own(self.val, name), self.options.seed)
            for name, code in self.codes.items()
        ]
        return {"rows": rows}

    def crossing(self) -> dict[str, Any]:
        """What one site sends in a round."""
        return {"bytes": crossing_bytes(self.plan("fedavg"), len(BRAIN_MRI["classes"]), self.options.seed)}

    def rounds(self) -> dict[str, Any]:
        """The three ways after every round, and at the sites that took no part."""
        sites, rows = self.sites(), []
        runs = global_rounds(self.plan("fedavg"), sites), mixture_rounds(self.plan("medfedpure"), sites)
        for shared, mixtures, alone in zip(*runs, local_rounds(self.plan("fedavg"), sites)):
            own = {MIXTURE: mixtures.own, PERSONAL: self.experts(mixtures.shared), LOCAL: alone}
            answers = {FEDAVG: logits(shared, self.val)} | {way: self.own_answers(own[way]) for way in own}
            figures = {way: self.figures(scores) for way, scores in answers.items()}
            weights = {name: self.gate(mixtures.own[name], name) for name in self.codes}
            rows.append({"figures": figures, "gate": weights})
            print(len(rows), {way: found[POOLED]["accuracy"][0] for way, found in figures.items()}, flush=True)
        gains = {way: self.gains(answers[MIXTURE], answers[way]) for way in WAYS if way != MIXTURE}
        others = without_sites(self.data, list(self.codes.values())) if self.outsiders else None
        unseen = unseen_rows(others, list(self.codes), shared, mixtures.shared, alone)
        return {"rows": rows, "gains": gains, "unseen": unseen}

    def poison(self, rule: str) -> dict[str, Any]:
        """The last round's network under one rule, honest and poisoned."""
        rows, honest = [], np.empty(0)
        for poison in POISONS:
            sites = [poisoned(site, poison) if site.name == self.largest else site for site in self.sites()]
            *_, network = global_rounds(self.plan(STRATEGIES[rule]), sites)
            hits = right(network, self.val)
            honest = hits if poison == NO_POISON else honest
            row = {"rule": rule, "poison": poison, "accuracy": measured(hits, self.val.groups)}
            rows.append(row | {"cost": measured(honest - hits, self.val.groups)})
            print(rows[-1], flush=True)
        return {"rows": rows}

    def without_one(self) -> dict[str, Any]:
        """The site that is left out, under a federation of the others."""
        name = home_of(self.options.left_out)[0]
        sites = self.sites(but=name)
        *_, shared = global_rounds(self.plan("fedavg"), sites)
        mixture = mixtures_of(self.plan("medfedpure"), sites).shared
        *_, alone = local_rounds(self.plan("fedavg"), sites)
        scans = per_site(self.own(self.data, name), self.options.per_site, self.options.seed)
        return {"rows": unseen_rows(scans, [site.name for site in sites], shared, mixture, alone)}

    def experts(self, mixture: MixtureOfExperts) -> dict[str, nn.Module]:
        """Site → its personal network, as the mixture holds it."""
        return dict(zip(self.codes, mixture.experts))

    def own_answers(self, networks: Mapping[str, nn.Module]) -> np.ndarray:
        """(N, classes) logits of all validation scans, each of its own site's network."""
        found = np.zeros((len(self.val), len(BRAIN_MRI["classes"])))
        for name, network in networks.items():
            found[self.places(name)] = logits(network, self.own(self.val, name))
        return found

    def places(self, name: str) -> np.ndarray:
        """Where a site's scans are among all validation scans; all of them where it is POOLED."""
        homes = np.array(self.val.sites)
        return np.arange(len(homes)) if name == POOLED else np.flatnonzero(homes == self.codes[name])

    def figures(self, scores: np.ndarray) -> dict[str, Any]:
        """Site or POOLED → what (N, classes) logits reach."""
        found, chances, labels = {}, probabilities(scores)[:, 1], self.val.labels.numpy()
        for name in (*self.codes, POOLED):
            places = self.places(name)
            groups, own = np.array(self.val.groups)[places], labels[places]
            areas = area(chances[places], own == 1, groups)
            found[name] = {
                "n": len(places),
                "groups": len(set(groups)),
                "accuracy": measured(scores[places].argmax(1) == own, groups),
                "auc": [areas["auc"], *areas["auc_interval"]] if areas["auc"] is not None else None,
            }
        return found

    def gains(self, ours: np.ndarray, other: np.ndarray) -> dict[str, Any]:
        """Site or POOLED → accuracy of some logits less that of others, paired."""
        labels, groups = self.val.labels.numpy(), np.array(self.val.groups)
        gain = (ours.argmax(1) == labels).astype(float) - (other.argmax(1) == labels)
        return {name: measured(gain[self.places(name)], groups[self.places(name)]) for name in (*self.codes, POOLED)}

    def gate(self, mixture: MixtureOfExperts, name: str) -> list[float]:
        """How much the mixture trusts each site's network for the scan that is followed at a site."""
        own = self.own(self.val, name)
        followed = some_scans(own, self.options.seed)[:1]
        return mixture.weights(own.pixels[followed]).detach()[0].tolist()


def unseen_rows(
    data: Dataset | None,
    trained_on: Sequence[str],
    shared: nn.Module,
    mixture: MixtureOfExperts,
    alone: Mapping[str, nn.Module],
) -> list[dict[str, Any]]:
    """Return a row for each site of scans that nobody trained on; none where there are no scans."""
    rows = []
    for code in sorted(set(data.sites)) if data else ():
        own = data.subset(np.flatnonzero(np.array(data.sites) == code))
        hits = {FEDAVG: [shared], MIXTURE: [mixture], PERSONAL: list(mixture.experts), LOCAL: list(alone.values())}
        means = {way: np.mean([right(network, own) for network in networks], 0) for way, networks in hits.items()}
        rows.append(
            {
                "site": home_of(code)[0],
                "trained_on": list(trained_on),
                "n": len(own),
                "groups": len(set(own.groups)),
                "accuracy": {way: measured(means[way], own.groups) for way in WAYS},
                "gains": {way: measured(means[MIXTURE] - means[way], own.groups) for way in WAYS if way != MIXTURE},
            }
        )
    return rows


def right(network: nn.Module, data: Dataset) -> np.ndarray:
    """Return (N,) 1.0 where the class is found."""
    return (logits(network, data).argmax(1) == data.labels.numpy()).astype(float)


def measured(values: np.ndarray, groups: Sequence[str]) -> list[float]:
    """Return the mean and both ends of its interval."""
    return [float(np.mean(values)), *bootstrap_interval(values, groups)]


def keep(run: Measurement, name: str, measure: Callable[[], dict[str, Any]]) -> None:
    """Measure a part and write it, where it isn't there yet."""
    path = run.options.out
    known = read_json(path)
    parts = known["parts"] if known.get("basis") == run.basis else {}
    if name in parts:
        return
    start = time.process_time()
    found = measure()
    parts[name] = found | {"minutes": round((time.process_time() - start) / 60, 2)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"command": command_line(), "basis": run.basis, "parts": parts})
    print(f"{name}: {parts[name]['minutes']} min", flush=True)


if __name__ == "__main__":
    main()
