"""Two policies: who answers, and whether anything is purified."""

from core.bundles.bundle import Bundle, BundleError

CLINICAL, HARDENED = "clinical", "hardened"
#: What each is for, in a few words.
POLICIES = {
    CLINICAL: "most accurate on scans that nobody attacked; what looks attacked is purified",
    HARDENED: "stands up best to an attacker who knows the defence; nothing is purified",
}


def policy_classifiers(bundle: Bundle) -> dict[str, str]:
    """Policy → the classifier that answers under it: the default one, and the one that bundle.json calls hardened."""
    found = {CLINICAL: bundle.default_classifier, HARDENED: bundle.facts.get(HARDENED)}
    return {policy: name for policy, name in found.items() if name is not None and name in bundle.classifiers}


def classifier_under(bundle: Bundle, policy: str) -> str:
    """The classifier that answers under a policy; BundleError, one sentence, where the bundle has none for it."""
    known = policy_classifiers(bundle)
    if policy not in known:
        raise BundleError(
            f"The bundle {bundle.name} has no {policy} classifier; choose one of these policies: {', '.join(known)}."
        )
    return known[policy]


def policy_of(bundle: Bundle, classifier: str) -> str:
    """The policy under which a classifier answers."""
    return HARDENED if classifier == bundle.facts.get(HARDENED) else CLINICAL
