"""A site's profile from a file that somebody handed over: nothing strange passes for one."""

import json
import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

import jsonschema

from core.defence.conformal import CONFIDENCE, false_alarm_bound, fewest_scans
from core.defence.profile import KIND, NO_BOUND, GroupLimits, Profile, ProfileError

MOST_BYTES = 2**16
_MOST_SCANS = 10**6
_NAME = {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"}


def _record(optional: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    known = {**fields, **(optional or {})}
    return {"type": "object", "properties": known, "required": list(fields), "additionalProperties": False}


def _named(values: Any) -> dict[str, Any]:
    return {"type": "object", "propertyNames": _NAME, "additionalProperties": values, "minProperties": 1}


SCHEMA = _record(
    {"epsilon": {"type": "number", "exclusiveMinimum": 0}},
    kind={"const": KIND},
    version={"type": "integer"},
    bundle=_NAME,
    classifier=_NAME,
    weights_sha256={"type": "string", "pattern": "^[0-9a-f]{64}$"},
    scans={"type": "integer", "minimum": 1, "maximum": _MOST_SCANS},
    made={"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    groups=_named(
        _record(
            alpha={"type": "number", "exclusiveMinimum": 0, "maximum": 0.5},
            bound={"type": "number", "minimum": 0, "maximum": 1},
            confidence={"const": CONFIDENCE},
            thresholds=_named({"type": "number", "exclusiveMinimum": 0}),
        )
    ),
)


def read_profile(source: Path | str | bytes) -> Profile:
    """A profile from a file, or from the JSON in it as bytes; ProfileError, one sentence, where it is none."""
    try:
        data = source if isinstance(source, bytes) else _content(Path(source))
        if len(data) > MOST_BYTES:
            raise ValueError("too large")
        record = json.loads(data.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_unique)
        jsonschema.validate(record, SCHEMA)
        return _from_record(record)
    except OSError as error:
        raise ProfileError(f"The profile can’t be read: {error.strerror or 'no such file'}.") from error
    except (ValueError, RecursionError, OverflowError, jsonschema.ValidationError) as error:
        raise ProfileError("This is not a site profile that Purescan wrote: choose the profile’s JSON file.") from error


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _from_record(record: Mapping[str, Any]) -> Profile:
    scans = int(record["scans"])
    epsilon = float(record["epsilon"]) if "epsilon" in record else None
    groups = {name: _group(own, scans, epsilon) for name, own in record["groups"].items()}
    names = [name for group in groups.values() for name in group.thresholds]
    if len(names) != len(set(names)):
        raise ValueError("A score has two thresholds.")
    plain = {name: record[name] for name in ("bundle", "classifier", "weights_sha256")}
    made = date.fromisoformat(record["made"])
    return Profile(**plain, scans=scans, made=made, groups=groups, version=int(record["version"]), epsilon=epsilon)


def _group(record: Mapping[str, Any], scans: int, epsilon: float | None) -> GroupLimits:
    alpha, thresholds = float(record["alpha"]), {name: float(value) for name, value in record["thresholds"].items()}
    # What it promises follows from the number of scans: nobody's word is taken for it.
    if scans < fewest_scans(alpha):
        raise ValueError("There are too few scans for any promise.")
    bound = false_alarm_bound(scans, alpha) if epsilon is None else NO_BOUND
    if abs(bound - record["bound"]) > 1e-6:
        raise ValueError("The promise doesn't follow from the number of scans.")
    if not all(map(math.isfinite, thresholds.values())):
        raise ValueError("A threshold is not finite.")
    return GroupLimits(alpha, float(record["bound"]), thresholds)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("A name comes twice.")
    return dict(pairs)
