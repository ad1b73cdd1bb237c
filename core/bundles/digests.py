"""What figures were made with: SHA-256 of the files that they depend on."""

from collections.abc import Iterable

from core.bundles.bundle import FAMILY, Bundle


def classifier_sha256(bundle: Bundle, classifier: str) -> str:
    """SHA-256 of a classifier's weights file, and whether the mirror image is asked about as well: it answers otherwise
    then, with the same file.
    """
    entry = bundle.facts["classifiers"][classifier]
    sha256 = bundle.hashes[entry["file"]]
    return f"{sha256}, mirrored" if entry.get("config", {}).get("mirrored") else sha256


def weights_record(bundle: Bundle, classifier: str, parts: Iterable[str] = ()) -> dict[str, str]:
    """File → SHA-256 of everything trained that this classifier's figures depend on: not the other classifiers.

    Of `FAMILY` it holds only the `parts` that a purifier works with; of a classifier what `classifier_sha256` says.
    """
    own, classifiers = {classifier, bundle.answering(classifier)}, bundle.facts["classifiers"]
    others = {entry["file"] for name, entry in classifiers.items() if name not in own}
    others |= {bundle.facts[part]["file"] for part in FAMILY if part in bundle.facts and part not in parts}
    trained = {file: sha256 for file, sha256 in bundle.hashes.items() if file.endswith(".safetensors")}
    known = {classifiers[name]["file"]: classifier_sha256(bundle, name) for name in own if name in classifiers}
    return {file: known.get(file, sha256) for file, sha256 in trained.items() if file not in others}
