"""The command line, a file a command: python -m core examine | attack | purify | evaluate | calibrate | …"""

import argparse
import shlex
import sys
from collections.abc import Sequence

from core.bundles import BundleError
from core.cli import attack, bundle, calibrate, encrypt, evaluate, examine, faults, federate, purify
from core.scans import ScanError

NOTICE = "Purescan is not a medical device."
COMMANDS = (examine, attack, purify, evaluate, calibrate, faults, encrypt, bundle, federate)


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 2 where an input was bad."""
    words = list(sys.argv[1:] if words is None else words)
    arguments = _parser().parse_args(words)
    try:
        return arguments.run(arguments, shlex.join(["python", "-m", "core", *words]))
    except (ScanError, BundleError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The result can't be written: {error.strerror or error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core", description=f"Purescan's commands. {NOTICE}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser
