"""The whole defence over a data set, clean and attacked, never with a threshold that saw the image."""

import platform
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from core import compute
from core.attacks import AttackSettings, sees_defence
from core.bundles import Bundle, BundleError, weights_record
from core.bundles.calibration import Limits
from core.defence.fitting import cross_fitted_limits
from core.defence.profile import Profile, with_profile
from core.evaluation.datasets import Dataset, image_digest
from core.evaluation.journal import fingerprint
from core.evaluation.responses import ADAPTIVE, CLEAN, Notebook, Progress, collect
from core.evaluation.summary import summary
from core.purification.catalogue import check_parts, find_purifier
from core.purification.settings import PurifySettings

NO_PURIFIER = PurifySettings("none")
NO_LIMITS = Limits({}, float("inf"), ())


def evaluate(
    data: Dataset,
    bundle: Bundle,
    *,
    classifier: str | None = None,
    attack: AttackSettings = CLEAN,
    purifier: PurifySettings = ADAPTIVE,
    seed: int = 0,
    resume: Path | None = None,
    profile: Profile | None = None,
    progress: Progress = lambda images: None,
) -> dict[str, Any]:
    """Answer every image, clean and attacked, with and without the defence.

    Parameters
    ----------
    attack
        Against the networks in the precision that they run in, the whole defence included.
    purifier
        What purifies the flagged scans; an attacker of the whole defence still faces the adaptive one. Where there is
        no defence (`Bundle.lacks_for`) nothing is flagged or purified, so that defended and undefended figures are the
        same.
    resume : Path, optional
        A file in which answers are kept as they come; an evaluation that was cut off goes on from it.
    profile : Profile, optional
        A site's thresholds, for every image. It doesn't say which scans it was fitted on: bring others.
    progress : callable
        Called with the number of images done since the last call.

    Returns
    -------
    dict
        As declared in `core.cli.schema.EVALUATE`, without `settings`.

    Raises
    ------
    ValueError
        A parameter is out of range, `resume` holds another evaluation, or a defence is asked for that the bundle lacks;
        one sentence.
    """
    name, bundle = bundle.classifier_name(classifier), with_profile(bundle, profile)
    purifier, lacks = purifier_in_force(bundle, purifier, name), bundle.lacks_for(name)
    if lacks and sees_defence(attack):
        raise BundleError(lacks)
    run = {"attack": asdict(attack), "seed": seed, "classifier": name, "data": data.sha256, "n": len(data)}
    run |= {"images": fingerprint({"digests": [image_digest(pixels) for pixels in data.pixels]})}
    run |= {"batch": compute.batch_size()}  # answers are kept a batch at a time
    run |= {"purifier": asdict(purifier)} if purifier != ADAPTIVE else {}
    parts = find_purifier(purifier).needs
    notebook = Notebook(
        resume, run | {"weights": weights_record(bundle, name, parts), "limits": repr(limits_in_force(bundle, name))}
    )
    collected = partial(collect, data, bundle, name, purifier=purifier, seed=seed, notebook=notebook, progress=progress)
    clean = collected(CLEAN)
    attacked = collected(attack) if attack.method else None
    limits = own_limits(data, bundle, name, profile)
    return summary(data.labels.numpy(), data.groups, limits, clean, attacked, columns_of(data))


def columns_of(data: Dataset) -> dict[str, tuple[str, ...]]:
    """What figures are stated by as well: ``sites`` and ``sequences``, where the data set tells them."""
    return {kind: column for kind, column in (("sites", data.sites), ("sequences", data.sequences)) if column}


def own_limits(data: Dataset, bundle: Bundle, classifier: str, profile: Profile | None = None) -> list[Limits]:
    """The limits for each image: fitted without its fold where it was a calibration scan, else the bundle's own.

    With a profile all have its thresholds; what the profile leaves alone is as without it.
    """
    if bundle.lacks_for(classifier):
        return [NO_LIMITS] * len(data)
    usual = bundle.limits_of(classifier)
    calibration = bundle.starting_calibration(classifier)
    fitted = dict(zip(calibration.digests, cross_fitted_limits(calibration)))
    if classifier in bundle.added:
        fitted = {digest: replace(limits, borderline=usual.borderline) for digest, limits in fitted.items()}
    own = [fitted.get(image_digest(pixels), usual) for pixels in data.pixels]
    return [profile.applied_to(limits) for limits in own] if profile else own


def limits_in_force(bundle: Bundle, classifier: str) -> Limits:
    """The bundle's own; where there is no defence those that flag and refuse nothing."""
    return NO_LIMITS if bundle.lacks_for(classifier) else bundle.limits_of(classifier)


def purifier_in_force(bundle: Bundle, purifier: PurifySettings, classifier: str) -> PurifySettings:
    """`purifier`; none where no scan can be flagged, and BundleError where another than the usual was wanted.

    BundleError as well where it works with what the bundle lacks.
    """
    lacks = bundle.lacks_for(classifier)
    if lacks is None:
        check_parts(purifier, bundle)
        return purifier
    if purifier not in (ADAPTIVE, NO_PURIFIER):
        raise BundleError(lacks)
    return NO_PURIFIER


def settings_record(
    data: Dataset,
    bundle: Bundle,
    classifier: str | None,
    attack: AttackSettings,
    split: str,
    seed: int,
    command: str,
    purifier: PurifySettings = ADAPTIVE,
) -> dict[str, Any]:
    """Everything that is needed to run an evaluation again; `lacks` says why its figures are undefended ones."""
    name = bundle.classifier_name(classifier)
    limits, lacks = limits_in_force(bundle, name), bundle.lacks_for(name)
    return {
        "command": command,
        "bundle": bundle.name,
        "classifier": name,
        "attack": asdict(attack),
        "purifier": asdict(purifier_in_force(bundle, purifier, name)),
        **({"lacks": lacks} if lacks else {}),
        "data_sha256": data.sha256,
        "weights_sha256": weights_record(bundle, name, find_purifier(purifier).needs),
        "thresholds": dict(limits.thresholds),
        **({"altered": list(limits.altered)} if limits.altered else {}),
        "borderline": limits.borderline._asdict(),
        "split": split,
        "seed": seed,
        "device": compute.device().type,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "precision": str(compute.fast_dtype()).removeprefix("torch."),
        },
    }
