"""--certify of `examine`: what it takes, how far it is, and what it says."""

import argparse
from typing import Any

from core.bundles import Bundle
from core.cli.options import positive
from core.cli.output import progress_bar
from core.defence.certificate import CONFIDENCE, DRAWS, SELECTION, SIGMA, Certificate, certify, check_certifying
from core.defence.examination import Examination


def certificate_options() -> argparse.ArgumentParser:
    """Those of a certificate."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--certify", action="store_true", help="say how large a change the answer withstands for sure")
    options.add_argument("--sigma", type=float, help=f"noise of the certificate, in pixel units (default {SIGMA:g})")
    options.add_argument("--draws", type=positive, help=f"draws of the certificate (default {DRAWS})")
    return options


def check_certificate(arguments: argparse.Namespace, bundle: Bundle) -> None:
    """Fill in what was not said of a certificate; ValueError, one sentence, where none can be made so."""
    given = arguments.sigma, arguments.draws
    if not arguments.certify:
        if given != (None, None):
            raise ValueError("--sigma and --draws are of a certificate: add --certify.")
        return
    if arguments.all:
        raise ValueError("--certify is about one slice: leave --all out, and name a slice with --frame.")
    usual = SIGMA, DRAWS
    arguments.sigma, arguments.draws = (own if value is None else value for value, own in zip(given, usual))
    check_certifying(bundle, arguments.sigma, arguments.draws)


def make_certificate(arguments: argparse.Namespace, exam: Examination, bundle: Bundle) -> Certificate | None:
    """The certificate where one was asked for; a refused scan has no answer to certify."""
    if not arguments.certify or exam.refused:
        return None
    settings = {name: getattr(arguments, name) for name in ("classifier", "sigma", "draws", "seed")}
    with progress_bar(SELECTION + arguments.draws, "draw") as bar:
        for made in certify(exam.pixels, bundle, **settings):
            bar.update(made.selecting + made.drawn - bar.n)
    return made


def certificate_record(made: Certificate | None, exam: Examination) -> dict[str, Any] | None:
    """A certificate as `core.cli.schema.EXAMINE` declares it; null where there is none."""
    if made is None:
        return None
    return {
        "label": made.label,
        "agrees": made.label == exam.label,
        "radius": made.radius,
        "grey_levels": {"one_pixel": made.grey_levels(), "every_pixel": made.grey_levels(made.pixel_count)},
        "sigma": made.sigma,
        "t": made.t,
        "draws": made.draws,
        "drawn": made.drawn,
        "agreeing": made.agreeing,
        "bound": made.bound,
        "confidence": CONFIDENCE,
    }


def certificate_text(record: dict[str, Any] | None) -> str:
    """The same for a person, as the end of a line."""
    if record is None:
        return ""
    if record["radius"] is None:
        return "; not certified: under noise the answers differ"
    return f"; certified: {record['label']}, against every change with an ℓ2 length below {record['radius']:.3g}"
