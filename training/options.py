"""The options that many commands share."""

import argparse
import math
import shlex
from pathlib import Path
from typing import Any

DEFAULT_BUNDLE = "brain-mri"


def command_options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that shows a module's docstring as it is written."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def recipe_options(description: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """Return the options of a recipe that takes `training.recipes.run` for its steps, with its own defaults.

    `steps`, `batch` and `lr` have to be among them.
    """
    parser = training_options(description)
    parser.add_argument(
        "--weights",
        type=cell_weight,
        nargs="+",
        metavar="COLLECTION/CLASS=WEIGHT",
        help="how often to draw a class, by its index, of a collection; in place of what training.tasks says",
    )
    parser.add_argument(
        "--schedule", choices=("cosine", "constant"), default="cosine", help="of the learning rate, after the warm-up"
    )
    parser.add_argument("--warm-up", type=int, help="steps in which the learning rate rises; a twentieth of all")
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument(
        "--decay", type=float, default=0.999, help="what a step keeps of the averaged weights; less in a short run"
    )
    parser.set_defaults(**defaults)
    return parser


def training_options(description: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """Return the options that all recipes take; `steps`, `batch` and `lr` have to be among the defaults."""
    parser = command_options(description)
    data_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, card and checkpoint")
    parser.add_argument("--init", type=Path, help="safetensors to start from instead of random weights")
    parser.add_argument("--steps", type=int, help="optimiser steps in all")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="stop and save after so long; run again to go on"
    )
    parser.set_defaults(**defaults)
    return parser


def part_option(parser: argparse.ArgumentParser) -> None:
    """Add how much of a batch goes through the network at once."""
    parser.add_argument("--part", type=int, help="images at a time: a batch in parts needs less memory")


def data_options(parser: argparse.ArgumentParser) -> None:
    """Add which scans there are, and which of them are left out."""
    parser.add_argument("--data", type=Path, required=True, nargs="+", help=".npz with image, label, group, split")
    parser.add_argument("--leave-out", nargs="+", default=[], metavar="SITE", help="sites whose scans aren't used")


def cell_weight(text: str) -> tuple[tuple[str, int], float]:
    """Return what ``br35h/0=0.22`` says."""
    cell, _, weight = text.partition("=")
    name, _, label = cell.rpartition("/")
    return (name, int(label)), float(weight)


def bundle_options(description: str | None) -> argparse.ArgumentParser:
    """Return the options of a command that works with a bundle as it is: its data sets, its name and a seed."""
    parser = command_options(description)
    parser.add_argument("--data", type=Path, required=True, nargs="+", help="the data sets: .npz or .zip")
    parser.add_argument("--per-site", type=int, metavar="N", help="measure on at most so many val scans of each site")
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def data_words(options: argparse.Namespace) -> list[str]:
    """Return the words that name the data of `bundle_options` in a command."""
    most = getattr(options, "per_site", None)
    words = ["--data", *(path.name for path in options.data)]
    return [*words, "--per-site", str(most)] if most else words


def bundle_words(name: str) -> list[str]:
    """Return the words that name a bundle in a command; none for the one that it takes by itself."""
    return [] if name == DEFAULT_BUNDLE else ["--bundle", name]


def seed_words(options: argparse.Namespace) -> list[str]:
    """Return the words that name the seed in a command; none for 0, which it takes by itself."""
    return ["--seed", str(options.seed)] if options.seed else []


def short_command(module: str, bundle: str, options: argparse.Namespace) -> str:
    """Return the command line that `bundle_options` were parsed from, less what it takes by itself."""
    return shlex.join(["python", "-m", module, *data_words(options), *bundle_words(bundle), *seed_words(options)])


def bundle_command(module: str, bundle: str, options: argparse.Namespace) -> str:
    """Return the command line that `bundle_options`, with or without a `limit`, were parsed from."""
    limit = getattr(options, "limit", None)
    words = ["python", "-m", module, *data_words(options), "--bundle", bundle]
    words += ["--limit", str(limit)] if limit else []
    return shlex.join([*words, "--seed", str(options.seed)])
