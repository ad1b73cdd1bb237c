"""What `core federate run` and `serve` can be asked for: the options of a plan, and the plan that they make."""

import argparse
import secrets
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli.options import natural

if TYPE_CHECKING:
    from core.evaluation.site_images import SiteImages
    from core.federation.plan import Plan

WHOLE = ("rounds", "gate_rounds", "steps", "batch", "least", "dishonest", "width", "shrink")
FRACTIONAL = ("lr", "gate_lr", "strength", "patience")
ABOUT = {
    "rounds": "rounds of the networks",
    "gate_rounds": "rounds of the gate over them, with medfedpure",
    "steps": "optimiser steps of a site in a round",
    "batch": "images a step",
    "least": "sites that a round needs",
    "dishonest": "sites that trimmed-mean and krum reckon with",
    "width": "channels of the network's first stage",
    "shrink": "2 looks at half the resolution",
    "lr": "largest learning rate",
    "gate_lr": "the gate's",
    "strength": "how strongly fedprox holds a site near the round's start",
    "patience": "seconds that a round waits for sites that are connected",
}


def plan_options() -> argparse.ArgumentParser:
    """Options for a command that runs a server."""
    from core.federation.plan import CLASSIFIER, TRAINED, Plan
    from core.federation.strategies import STRATEGIES

    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--trains", default=CLASSIFIER, choices=TRAINED, help=f"the network (default {CLASSIFIER})")
    about = "default medfedpure for a classifier, else fedavg"
    options.add_argument("--strategy", choices=STRATEGIES, help=about)
    defaults = {entry.name: entry.default for entry in fields(Plan)}
    for name in (*WHOLE, *FRACTIONAL):
        kind: Any = natural if name in WHOLE else float
        about = f"{ABOUT[name]} (default {defaults[name]})"
        options.add_argument(f"--{name.replace('_', '-')}", type=kind, default=defaults[name], help=about)
    options.add_argument("--seed", type=natural, default=0)
    options.add_argument("--init", type=Path, metavar="FILE", help="weights that every site begins with")
    options.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="the report, and what goes on later")
    options.add_argument("--json", action="store_true", help="print nothing but JSON")
    return options


def plan_of(arguments: argparse.Namespace, images: "argparse.Namespace | SiteImages") -> "Plan":
    """What was asked for, for images of such a shape; a federation that goes on keeps its name."""
    from core.bundles import bundle_input
    from core.federation.plan import CLASSIFIER, Plan
    from core.federation.report import read_report
    from core.federation.strategies import find_strategy

    strategy = arguments.strategy or ("medfedpure" if arguments.trains == CLASSIFIER else "fedavg")
    name = read_report(arguments.out).get("plan", {}).get("name") or f"{strategy} {secrets.token_hex(8)}"
    entries = {entry: getattr(arguments, entry) for entry in (*WHOLE, *FRACTIONAL, "trains", "seed")}
    asks = find_strategy(strategy).asks
    if asks:
        found = bundle_input(arguments.bundle)
        shape = {"channels": found.channels, "size": found.resolution, "classes": len(found.classes)}
    else:
        shape = {entry: getattr(images, entry) for entry in ("channels", "classes", "size")}
    facts: dict[str, Any] = entries | shape | {"bundle": arguments.bundle if asks else ""}
    return Plan(name, strategy, **facts)
