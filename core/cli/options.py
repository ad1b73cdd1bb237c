"""Options that several commands take, and the numbers that they accept."""

import argparse

from core.attacks import NORMS, AttackSettings


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


def common_options() -> argparse.ArgumentParser:
    """Those of every command."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--bundle", default="brain-mri", help="folder under weights/ (default brain-mri)")
    options.add_argument("--classifier", help="one of the bundle's (default: the bundle's own)")
    options.add_argument("--seed", type=natural, default=0)
    options.add_argument("--json", action="store_true", help="print nothing but JSON")
    return options


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
