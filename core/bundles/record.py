"""What is recorded of a bundle, read without its networks: pages that show many bundles load none of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from core.bundles.bundle import BundleError
from core.bundles.calibration import Calibration
from core.bundles.lacking import lacks_sentence
from core.bundles.loading import bundle_names, check_files, folder_of, read_json


class Record(NamedTuple):
    """A bundle's facts, and what its default classifier answered to the calibration scans.

    Attributes
    ----------
    folder : Path
        Where its files lie.
    facts : mapping
        bundle.json.
    lacks : str or None
        One sentence: why nothing is known of a defence around this classifier; None where something is.
    calibration : Calibration or None
        None where `lacks` says why.
    """

    folder: Path
    facts: Mapping[str, Any]
    lacks: str | None
    calibration: Calibration | None


def bundle_record(name: str) -> Record:
    """Read a bundle's record.

    Raises
    ------
    BundleError
        No such bundle, or its record is missing or damaged; one sentence.
    """
    if name not in bundle_names():
        raise BundleError(f"There is no bundle named {name!r}; choose one of: {', '.join(bundle_names())}.")
    folder = folder_of(name)
    facts = read_json(folder / "bundle.json")
    try:
        if lacks := lacks_sentence(name, facts):
            return Record(folder, facts, lacks, None)
        classifier, file = facts["default_classifier"], facts["calibration"]
        check_files(folder, {file: facts["files"][file]})
        answers = read_json(folder / file)
        if classifier not in facts["limits"] or classifier not in answers:
            return Record(folder, facts, _unfitted(name, classifier), None)
        return Record(folder, facts, None, Calibration.from_json(answers[classifier], facts["input"]["channels"]))
    except KeyError as error:
        raise BundleError(f"{name}/bundle.json lacks the entry {error}; restore it.") from error


def _unfitted(name: str, classifier: str) -> str:
    return (
        f"The classifier {classifier} of the bundle {name} has no thresholds yet, so nothing is known of its defence; "
        "calibrate the bundle."
    )
