"""Somebody's own classifier joins a bundle, and leaves it again: what is checked, and what is written where."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import timm
from safetensors.torch import save_file

from core.bundles.bundle import BundleError
from core.bundles.checking import NAME, Checked, Home, Wanted, checked
from core.bundles.loading import TIMM, bundle_names, file_sha256, load_bundle, shipped_names
from core.bundles.own import ADDED, BUNDLE, VARIABLE, own_folder, own_names

PARTS = ("classifiers", "files", "provenance")


class Joined(NamedTuple):
    """What came of it: bundle and classifier by name, whether the bundle is new, its classes, resolution and channels;
    the network's size, channels and number of parameters; the folder that was written to."""

    bundle: str
    classifier: str
    new: bool
    classes: tuple[str, ...]
    resolution: int
    channels: int
    size: int
    network_channels: int
    parameters: int
    folder: Path


def add_classifier(wanted: Wanted) -> Joined:
    """Check somebody's classifier, and write it to the user's own folder (`core.bundles.own`).

    Raises
    ------
    BundleError
        Names, shapes, classes or files don't fit, and nothing was written; one sentence.
    OSError
        The folder can't be written to.
    """
    folder, known = _writable_folder(wanted.bundle), wanted.bundle in bundle_names()
    made = checked(wanted, load_bundle(wanted.bundle) if known else None)
    folder.mkdir(parents=True, exist_ok=True)
    _write(wanted, made, folder)
    return Joined(
        bundle=wanted.bundle,
        classifier=wanted.called,
        new=not known,
        classes=made.home.classes,
        resolution=made.home.resolution,
        channels=made.home.channels,
        size=made.network.size,
        network_channels=made.network.channels,
        parameters=sum(part.numel() for part in made.network.parameters()),
        folder=folder,
    )


def remove_classifiers(bundle: str, classifier: str | None = None) -> tuple[str, ...]:
    """Take away one classifier that was added under this name, or all of them; their names.

    A bundle of the user's own goes with its last classifier. Files that nobody added here stay.

    Raises
    ------
    BundleError
        Nothing of the kind was added; one sentence.
    """
    mine = own_folder()
    folder = mine / bundle if mine and NAME.fullmatch(bundle) else None
    path = _facts_file(folder, bundle) if folder else None
    if folder is None or path is None or not path.is_file():
        known = ", ".join(_added_names()) or "nothing"
        raise BundleError(f"Nothing was added under the name {bundle!r}; what was: {known}.")
    facts = _own_facts(path)
    there = list(facts["classifiers"])
    if classifier is not None and classifier not in there:
        raise BundleError(f"No classifier named {classifier!r} was added to {bundle}; what was: {', '.join(there)}.")
    gone = there if classifier is None else [classifier]
    # The facts first: files that they don't name do no harm.
    if gone == there:
        path.unlink()
    else:
        _replace_json(path, _without(facts, gone))
    for name in filter(NAME.fullmatch, gone):
        _weights_path(folder, name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
    return tuple(gone)


def _own_facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return {**facts, **{part: dict(facts[part]) for part in PARTS}}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path} is damaged; delete it by hand, with the weights beside it.") from error


def _without(facts: Mapping[str, Any], gone: Sequence[str]) -> dict[str, Any]:
    """The facts without some of the classifiers; the first that is left is the default where that has gone."""
    files = {_weights_path(Path(), name).name for name in gone}
    left = {part: {key: facts[part][key] for key in facts[part] if key not in (*gone, *files)} for part in PARTS}
    first = {"default_classifier": next(iter(left["classifiers"]))} if facts.get("default_classifier") in gone else {}
    return {**facts, **first, **left}


def _writable_folder(bundle: str) -> Path:
    folder = own_folder()
    if folder is None:
        raise BundleError(f"{VARIABLE} is empty, so there is no folder for what is added; set it to one of yours.")
    if not NAME.fullmatch(bundle):
        raise BundleError(f"{bundle!r} can't name a bundle; take letters, digits, '-', '_' and '.', 64 at most.")
    return folder / bundle


def _write(wanted: Wanted, made: Checked, folder: Path) -> None:
    """Weights first, and each file in one move: whoever loads meanwhile finds what was there before."""
    name = wanted.called
    path, facts_file = _weights_path(folder, name), _facts_file(folder, wanted.bundle)
    half = path.with_suffix(".half")
    save_file({key: tensor.clone().contiguous() for key, tensor in made.network.state_dict().items()}, half)
    os.replace(half, path)
    facts = _own_facts(facts_file) if facts_file.is_file() else _new_facts(wanted, made.home)
    facts["classifiers"][name] = {"file": path.name, "architecture": TIMM, "config": dict(made.config)}
    facts["files"][path.name] = file_sha256(path)
    facts["provenance"][name] = {
        "added": f"{wanted.model} of timm {timm.__version__}",
        "weights": f"{wanted.weights.name}, SHA-256 {file_sha256(wanted.weights)}",
        "mean": list(wanted.mean),
        "std": list(wanted.std),
    }
    _replace_json(facts_file, facts)


def _new_facts(wanted: Wanted, home: Home) -> dict[str, Any]:
    nothing: dict[str, Any] = {part: {} for part in PARTS}
    if wanted.bundle in shipped_names():
        return nothing
    count = len(home.classes)
    which = " or ".join(home.classes) if count < 4 else f"which of {count}"
    return {
        "name": wanted.bundle,
        "title": f"{wanted.bundle}: {which}",
        "classes": list(home.classes),
        "input": {"resolution": home.resolution, "channels": home.channels},
        "default_classifier": wanted.called,
        "modalities": list(wanted.modalities),
        **nothing,
    }


def _facts_file(folder: Path, bundle: str) -> Path:
    return folder / (ADDED if bundle in shipped_names() else BUNDLE)


def _weights_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"


def _replace_json(path: Path, facts: Mapping[str, Any]) -> None:
    half = path.with_suffix(".half")
    half.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(half, path)


def _added_names() -> list[str]:
    folder = own_folder()
    joined = [path.parent.name for path in folder.glob(f"*/{ADDED}")] if folder else []
    return sorted({*own_names(), *joined})
