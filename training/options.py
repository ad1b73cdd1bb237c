"""The options that many commands share."""

import argparse
import math
import shlex
from pathlib import Path
from typing import Any


def command_options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that shows a module's docstring as it is written."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def recipe_options(description: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """Return the options that all recipes take, with one recipe's own defaults for `steps`, `batch` and `lr`."""
    parser = command_options(description)
    parser.add_argument("--data", type=Path, required=True, help=".npz with image, label, group, split")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, card and checkpoint")
    parser.add_argument("--init", type=Path, help="safetensors to start from instead of random weights")
    parser.add_argument("--steps", type=int, default=defaults["steps"], help="optimiser steps in all")
    parser.add_argument("--batch", type=int, default=defaults["batch"])
    parser.add_argument("--lr", type=float, default=defaults["lr"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="stop and save after so long; run again to go on"
    )
    return parser


def bundle_options(description: str | None) -> argparse.ArgumentParser:
    """Return the options of a command that works with a bundle as it is: its data set, its name and a seed."""
    parser = command_options(description)
    parser.add_argument("--data", type=Path, required=True, help="the data set: .npz or .zip")
    parser.add_argument("--bundle", default="brain-mri")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def bundle_command(module: str, bundle: str, options: argparse.Namespace) -> str:
    """Return the command line that `bundle_options`, with or without a `limit`, were parsed from."""
    limit = getattr(options, "limit", None)
    words = ["python", "-m", module, "--data", options.data.name, "--bundle", bundle]
    words += ["--limit", str(limit)] if limit else []
    return shlex.join([*words, "--seed", str(options.seed)])
