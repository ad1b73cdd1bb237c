"""Options that several commands take, and the numbers that they accept."""

import argparse
import math
from pathlib import Path
from typing import Any

import torch

from core.attacks import NORMS, AttackSettings
from core.bundles import POLICIES, Bundle, BundleError, classifier_under, load_bundle
from core.defence.profile import Profile, check_profile
from core.defence.profile_file import read_profile


def natural(text: str) -> int:
    """A whole number from 0 to 2³² − 1; argparse says what is wrong otherwise."""
    number = int(text) if text.isdecimal() else -1
    if not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 4294967295")
    return number


def positive(text: str) -> int:
    """A whole number from 1 up; argparse says what is wrong otherwise."""
    if not text.isdecimal() or not 1 <= int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def above_nothing(text: str) -> float:
    """A finite number above 0; argparse says what is wrong otherwise."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def common_options(classifier: str = "the bundle's own") -> argparse.ArgumentParser:
    """Those of every command; `classifier`: which one it takes by default, in words."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--bundle", default="brain-mri", help="by its name (default brain-mri)")
    answering = options.add_mutually_exclusive_group()
    answering.add_argument("--classifier", help=f"one of the bundle's (default: {classifier})")
    words = "; ".join(f"{name}: {about}" for name, about in POLICIES.items())
    answering.add_argument("--policy", choices=POLICIES, help=f"in place of a classifier. {words}")
    options.add_argument("--seed", type=natural, default=0)
    options.add_argument("--json", action="store_true", help="print nothing but JSON")
    return options


def chosen_bundle(arguments: argparse.Namespace, dtype: torch.dtype | None = None) -> Bundle:
    """The bundle of `common_options`, in the precision that `load_bundle` takes by itself where none is given.

    A policy that was given becomes the classifier that answers under it.
    """
    bundle = load_bundle(arguments.bundle, dtype)
    if arguments.policy:
        arguments.classifier = classifier_under(bundle, arguments.policy)
    return bundle


def profile_option() -> argparse.ArgumentParser:
    """That of every command that decides with thresholds."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--profile", type=Path, metavar="FILE", help="a site's thresholds, as `calibrate` wrote them")
    return options


def chosen_profile(arguments: argparse.Namespace, bundle: Bundle) -> Profile | None:
    """The profile that was asked for, if any; ProfileError where it is none, or not for what it shall be used with."""
    if arguments.profile is None:
        return None
    if bundle.lacks:
        raise BundleError(bundle.lacks)
    profile = read_profile(arguments.profile)
    check_profile(profile, bundle, bundle.classifier_name(arguments.classifier))
    return profile


def profile_record(profile: Profile | None) -> dict[str, Any] | None:
    """What an answer says of the profile that it was made with; None where there is none."""
    if profile is None:
        return None
    return {
        "scans": profile.scans,
        "made": profile.made.isoformat(),
        "alpha": {name: group.alpha for name, group in profile.groups.items()},
        "bound": {name: group.bound for name, group in profile.groups.items()},
        "promise": profile.promise,
    }


def budget_options() -> argparse.ArgumentParser:
    """Those of every command that attacks."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--eps", type=float, default=8, help="in 1/255 for linf, plain for l2 and l1 (default 8)")
    options.add_argument("--norm", default="linf", choices=NORMS)
    options.add_argument("--steps", type=positive, help="steps, or queries (default: the attack's own, 40 for pgd)")
    options.add_argument("--restarts", type=positive, default=1)
    options.add_argument("--eot", type=positive, default=1, help="calls that a gradient is averaged over (white-box)")
    options.add_argument("--white-box", action="store_true", help="attack the whole defence, not the classifier alone")
    return options


def attack_settings(arguments: argparse.Namespace, method: str | None) -> AttackSettings:
    """What `budget_options` was given, for an attack or a benign change."""
    names = ("eps", "norm", "steps", "restarts", "eot", "white_box")
    severity = getattr(arguments, "severity", 1)
    return AttackSettings(method, severity=severity, **{name: getattr(arguments, name) for name in names})
