"""Bundles and classifiers of a user's own: a folder outside the repository, beside what comes with Purescan.

<own folder>/<name>/bundle.json   a bundle of the user's own, of classifiers alone
<own folder>/<name>/added.json    classifiers that join a bundle of that name which comes with Purescan

The weights lie beside, as safetensors. Nothing that comes with Purescan is changed, so that its hashes and figures stay
true, and an update of it loses nothing that was added.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from core.bundles.bundle import BundleError

VARIABLE = "PURESCAN_BUNDLES"
BUNDLE, ADDED = "bundle.json", "added.json"


class Added(NamedTuple):
    """What joins a bundle: the folder it lies in, and added.json, which has the `classifiers`, `provenance` and `files`
    of a bundle.json."""

    folder: Path
    facts: Mapping[str, Any]


def own_folder() -> Path | None:
    """Where a user's own lies; it need not exist yet. None where there is to be none.

    ``PURESCAN_BUNDLES`` where it is set, none where that is empty; else purescan/bundles in the user's data folder (XDG
    Base Directory Specification).
    """
    if (wanted := os.environ.get(VARIABLE)) is not None:
        return Path(wanted).absolute() if wanted else None
    given = os.environ.get("XDG_DATA_HOME", "")
    try:
        # The specification tells to ignore a path that isn't absolute.
        data = Path(given) if os.path.isabs(given) else Path.home() / ".local" / "share"
    except RuntimeError:  # whoever runs this has no home
        return None
    return data / "purescan" / "bundles"


def own_names() -> tuple[str, ...]:
    """Names of the bundles that are the user's own from the start; none where the folder can't be read."""
    folder = own_folder()
    try:
        return tuple(sorted(path.parent.name for path in folder.glob(f"*/{BUNDLE}"))) if folder else ()
    except OSError:  # such as a home that a service is kept out of
        return ()


def added_to(name: str) -> Added | None:
    """What joins the bundle of this name; BundleError, one sentence, where added.json is damaged."""
    folder = own_folder()
    if folder is None or not os.path.isfile(folder / name / ADDED):
        return None
    path = folder / name / ADDED
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if {key: type(facts[key]) for key in ("classifiers", "files")} != {"classifiers": dict, "files": dict}:
            raise ValueError("not what was written")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path} can't be read; {remedy(name)}.") from error
    return Added(folder / name, facts)


def remedy(name: str) -> str:
    """What to do where something of the user's own is damaged."""
    return f"take it away by: python -m core bundle remove {name}; and add it again"
