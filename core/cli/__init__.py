"""The command line, a file a command: python -m core examine | attack | purify | evaluate | calibrate | …"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module

NOTICE = "Purescan is not a medical device."
COMMANDS = {
    "examine": "decide, with the evidence",
    "attack": "attack a scan and write it to a file",
    "purify": "estimate the scan before the attack, as files",
    "evaluate": "measure the defence over a data set",
    "calibrate": "refit the thresholds on a site's own unattacked scans",
    "faults": "flip bits of a classifier's memory",
    "encrypt": "have a server answer that can't see the scan",
    "bundle": "add a classifier of your own, or take it away again",
    "federate": "train between sites that keep their scans",
}


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 2 where an input was bad."""
    words = list(sys.argv[1:] if words is None else words)
    arguments = _parser(words).parse_args(words)
    try:
        return arguments.run(arguments, shlex.join(["python", "-m", "core", *words]))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The result can't be written: {error.strerror or error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Every command by name and what it does; the options of the one that `words` begin with alone.

    The others stay unimported, as they load torch, which takes seconds.
    """
    parser = argparse.ArgumentParser(prog="python -m core", description=f"Purescan's commands. {NOTICE}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, about in COMMANDS.items():
        if name in words[:1]:
            import_module(f"core.cli.{name}").add(commands)
        else:
            commands.add_parser(name, help=about)
    return parser
