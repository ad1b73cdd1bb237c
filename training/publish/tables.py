"""Measure every figure of a bundle again, and rewrite docs/results, the cards and the README's table.

    python -m training.publish.tables --data br35h.npz
    python -m training.publish.tables --data pbc.zip --bundle blood-cells
    python -m training.publish.tables --data br35h.npz --recorded      only timings; the rest as measured so far
    python -m training.publish.tables --data br35h.npz tcga-lgg.npz cheng.npz --per-site 300

What was recorded with the weights of today is not measured again.
"""

import argparse

from core.bundles import load_bundle
from core.federation.tokens import token_classifiers
from training.measure.answers import check_recorded, conditions, record_answers
from training.measure.calibrate import asked_about, check_content, refit_bundle
from training.measure.defence import measure_classifiers, measure_defence
from training.measure.encrypted import record_encryption
from training.measure.faults import record_faults
from training.options import bundle_options
from training.publish.docs import check_cards, write_docs
from training.recipes.data import measured_collections, validation_scans


def main() -> None:
    parser = bundle_options(__doc__)
    parser.add_argument("--recorded", action="store_true", help="measure nothing but the timings")
    options = parser.parse_args()
    check_cards()  # before hours of measuring
    measure_bundle(options)
    write_docs()


def measure_bundle(options: argparse.Namespace) -> None:
    """Measure all that a bundle can be measured for; SystemExit, one sentence, where it has to be calibrated first."""
    bundle = load_bundle(options.bundle)
    if bundle.lacks is None:
        check_content(bundle)
    data = measured_collections(bundle, options)
    val = validation_scans(data, options)
    if bundle.lacks is None:
        if options.recorded:
            check_recorded(bundle, val, options.seed)
        else:
            record_answers(options, conditions(bundle.channels))
        refit_bundle(bundle.name, asked_about(val, options))
        bundle = load_bundle(options.bundle)
    if bundle.lacks is None:
        measure_defence(bundle, val, options)
    else:
        measure_classifiers(bundle, val, options)
    record_faults(data, bundle, options)
    if token_classifiers(bundle) and not options.recorded:
        record_encryption(data, bundle, options)


if __name__ == "__main__":
    main()
