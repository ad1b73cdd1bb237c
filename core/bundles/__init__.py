"""weights/<name>/ → Bundle: everything learned for one clinical task, checked before it is used."""

from core.bundles.bundle import (
    FAMILY,
    MADE_OF,
    Bundle,
    BundleError,
    Content,
    Expert,
    content_of,
    diffusion_of,
    family_of,
    mae_of,
)
from core.bundles.digests import classifier_sha256, weights_record
from core.bundles.loading import (
    ARCHITECTURES,
    WEIGHTS,
    Input,
    bundle_input,
    bundle_names,
    file_sha256,
    in_float32,
    load_bundle,
)
from core.bundles.own import own_names
from core.bundles.policies import POLICIES, classifier_under, policy_classifiers, policy_of

__all__ = [
    "ARCHITECTURES",
    "FAMILY",
    "MADE_OF",
    "POLICIES",
    "WEIGHTS",
    "Bundle",
    "BundleError",
    "Content",
    "Expert",
    "Input",
    "bundle_input",
    "bundle_names",
    "classifier_sha256",
    "classifier_under",
    "content_of",
    "diffusion_of",
    "family_of",
    "file_sha256",
    "in_float32",
    "load_bundle",
    "mae_of",
    "own_names",
    "policy_classifiers",
    "policy_of",
    "weights_record",
]
