"""python -m core encrypt: have a server answer that can't see the scan."""

import argparse
from dataclasses import fields

from core.attacks import attackable_pixels
from core.cli.options import chosen_bundle, common_options, natural
from core.cli.output import print_json, progress_bar
from core.scans import load_scan


def add(commands: argparse._SubParsersAction) -> None:
    """Declare the command."""
    from core.evaluation.encrypted_answer import CLASSIFIER

    parser = commands.add_parser("encrypt", parents=[common_options(CLASSIFIER)])
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--head", default="linear", help="linear or polynomial (default linear)")
    parser.add_argument("--preset", metavar="NAME", help="encryption parameters (default: those of the head)")
    parser.add_argument("--address", metavar="URL", help="of a server that runs (default: one is started)")
    parser.add_argument("--frame", type=natural, help="which frame of a volume, from 0 (default: the middle one)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, command: str) -> int:
    """Encrypt, ask, decrypt, and print both answers."""
    # Here and not above: `examine` has no use for it.
    from core.encryption.prediction import STAGES
    from core.evaluation.encrypted_answer import EncryptOptions, encrypted_answer, encrypted_text

    bundle = chosen_bundle(arguments)
    options = EncryptOptions(**{field.name: getattr(arguments, field.name) for field in fields(EncryptOptions)})
    pixels = attackable_pixels(load_scan(arguments.file), bundle, arguments.frame)
    with progress_bar(len(STAGES), "stage") as bar:
        record = encrypted_answer(bundle, pixels, options, bar.update)
    if arguments.json:
        print_json("encrypt", record)
    else:
        print(encrypted_text(record))
    return 0
