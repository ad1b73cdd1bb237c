"""What every command prints with --json, declared once as JSON Schema (draft 2020-12).

`examine` prints one such object a file, each on a line of its own, and with --all that of ``examine --all``; the others
print one.
"""

from typing import Any

import jsonschema

_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_NUMBER = {"type": "number"}
_NUMBER_OR_NULL = {"type": ["number", "null"]}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_COUNT = {"type": "integer", "minimum": 0}
_COUNT_OR_NULL = {"type": ["integer", "null"]}
_FLAG = {"type": "boolean"}
_FLAG_OR_NULL = {"type": ["boolean", "null"]}


def _map(values: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values}


def _record(**fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


_INTERVAL = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}

_PROFILE = _record(scans=_COUNT, made=_TEXT, alpha=_map(_SHARE), bound=_map(_SHARE), promise=_TEXT)

_CERTIFICATE = _record(
    label=_TEXT,
    agrees=_FLAG,
    radius=_NUMBER_OR_NULL,
    grey_levels=_record(one_pixel=_NUMBER, every_pixel=_NUMBER),
    sigma=_NUMBER,
    t=_COUNT,
    draws=_COUNT,
    drawn=_COUNT,
    agreeing=_COUNT,
    bound=_SHARE,
    confidence=_SHARE,
)

EXAMINE = _record(
    file=_TEXT,
    bundle=_TEXT,
    classifier=_TEXT,
    policy=_TEXT,
    label=_TEXT_OR_NULL,
    refused=_TEXT_OR_NULL,
    probabilities=_map(_SHARE),
    flagged=_FLAG,
    flagged_by={"type": "array", "items": _TEXT},
    altered=_FLAG_OR_NULL,
    altered_by={"type": "array", "items": _TEXT},
    scores=_map(_NUMBER),
    thresholds=_map(_NUMBER),
    purified=_FLAG,
    stands=_FLAG,
    t_star=_COUNT_OR_NULL,
    plane=_TEXT_OR_NULL,
    plane_source=_TEXT_OR_NULL,
    sequence=_TEXT_OR_NULL,
    sequence_source=_TEXT_OR_NULL,
    rests_on={"anyOf": [_record(inside=_SHARE, size=_SHARE, of=_TEXT, method=_TEXT), {"type": "null"}]},
    seconds=_map(_NUMBER),
    profile={"anyOf": [_PROFILE, {"type": "null"}]},
    certificate={"anyOf": [_CERTIFICATE, {"type": "null"}]},
)

# With --all: all slices of one scan.
EXAMINE_ALL = _record(
    file=_TEXT,
    bundle=_TEXT,
    classifier=_TEXT,
    series=_COUNT,
    series_count=_COUNT,
    volume=_COUNT,
    volume_count=_COUNT,
    plane=_TEXT_OR_NULL,
    sequence=_TEXT_OR_NULL,
    spacing={"anyOf": [{"type": "array", "items": _NUMBER, "minItems": 3, "maxItems": 3}, {"type": "null"}]},
    left_out={"type": "array", "items": _TEXT},
    slices={
        "type": "array",
        "items": _record(
            frame=_COUNT,
            label=_TEXT_OR_NULL,
            probability=_NUMBER_OR_NULL,
            flagged=_FLAG_OR_NULL,
            altered=_FLAG_OR_NULL,
            refused=_TEXT_OR_NULL,
        ),
    },
    summary=_TEXT,
    seconds=_NUMBER,
    profile={"anyOf": [_PROFILE, {"type": "null"}]},
)

# What every command says that makes another scan of one.
_ASKED: dict[str, Any] = {
    "file": _TEXT,
    "bundle": _TEXT,
    "classifier": _TEXT,
    "method": _TEXT,
    "steps": _COUNT,
    "seed": _COUNT,
}
_MADE: dict[str, Any] = {"out": _TEXT, "label_before": _TEXT, "label_after": _TEXT, "seconds": _NUMBER}

ATTACK = _record(
    **_ASKED,
    **_MADE,
    eps=_NUMBER,
    norm=_TEXT,
    restarts=_COUNT,
    linf=_NUMBER,
    l2=_NUMBER,
)

PURIFY = _record(
    **_ASKED,
    **_MADE,
    frame=_COUNT,
    t=_COUNT_OR_NULL,
    clip=_NUMBER_OR_NULL,
    step_size=_NUMBER_OR_NULL,
    psnr=_NUMBER_OR_NULL,
    ssim=_NUMBER,
)

EVALUATE = _record(
    n=_COUNT,
    refused=_COUNT,
    refused_attacked=_COUNT_OR_NULL,
    clean_accuracy=_SHARE,
    attacked_accuracy=_NUMBER_OR_NULL,
    defended_clean_accuracy=_SHARE,
    defended_attacked_accuracy=_NUMBER_OR_NULL,
    defended_attacked_of_right=_NUMBER_OR_NULL,
    intervals=_map(_INTERVAL),
    detection=_map(
        _record(
            auc=_NUMBER_OR_NULL,
            auc_interval=_INTERVAL,
            auc_successful=_NUMBER_OR_NULL,
            tpr_at_5_fpr=_NUMBER_OR_NULL,
            tpr_at_5_fpr_successful=_NUMBER_OR_NULL,
        )
    ),
    flagged_clean=_SHARE,
    flagged_attacked=_NUMBER_OR_NULL,
    altered_clean=_NUMBER_OR_NULL,
    altered_attacked=_NUMBER_OR_NULL,
    flagged_successful=_NUMBER_OR_NULL,
    flagged_label_kept=_NUMBER_OR_NULL,
    ssim_purified=_NUMBER_OR_NULL,
    seconds_per_image=_NUMBER,
    settings={
        "type": "object",
        "required": [
            "command",
            "bundle",
            "classifier",
            "purifier",
            "data_sha256",
            "weights_sha256",
            "thresholds",
            "borderline",
            "profile",
            "split",
            "seed",
            "device",
            "versions",
        ],
    },
)
# Of a data set alone that states sites or sequences: the shares of each.
EVALUATE["properties"] |= dict.fromkeys(
    ("sites", "sequences"), _map({"type": "object", "required": ["n", "intervals"]})
)

CALIBRATE = _record(
    bundle=_TEXT,
    classifier=_TEXT,
    files=_COUNT,
    scans=_COUNT,
    refused=_COUNT,
    duplicates=_COUNT,
    same_volume=_COUNT,
    made_here=_COUNT,
    unreadable=_COUNT,
    flagged_as_shipped=_COUNT_OR_NULL,
    altered_as_shipped=_COUNT_OR_NULL,
    thresholds_as_shipped=_map(_NUMBER),
    thresholds=_map(_NUMBER),
    alpha=_map(_SHARE),
    bound=_map(_SHARE),
    promise=_TEXT,
    epsilon=_NUMBER_OR_NULL,
    out=_TEXT,
    seconds=_NUMBER,
)

FAULTS = _record(
    n=_COUNT,
    trials=_COUNT,
    flips=_COUNT,
    accuracy_clean=_SHARE,
    accuracy_faulty=_NUMBER_OR_NULL,
    interval={"anyOf": [_INTERVAL, {"type": "null"}]},
    label_changes=_SHARE,
    non_finite=_SHARE,
    refused=_SHARE,
    guard=_TEXT,
    alarms=_SHARE,
    repaired=_NUMBER_OR_NULL,
    seconds=_NUMBER,
    settings={
        "type": "object",
        "required": ["command", "bundle", "classifier", "kind", "format", "data_sha256", "weights_sha256", "seed"],
    },
)
# With --worst-case alone: the first flip, and all of them.
FAULTS["properties"] |= {
    "tensor": _TEXT,
    "index": _COUNT,
    "bit": _COUNT,
    "found": {
        "type": "array",
        "items": _record(
            tensor=_TEXT, index=_COUNT, bit=_COUNT, field=_TEXT, accuracy=_SHARE, loss=_NUMBER, tried=_COUNT
        ),
    },
}

ENCRYPT = _record(
    file=_TEXT,
    bundle=_TEXT,
    classifier=_TEXT,
    head=_TEXT,
    preset=_TEXT,
    plain_logits={"type": "array", "items": _NUMBER},
    encrypted_logits={"type": "array", "items": _NUMBER},
    max_error=_NUMBER,
    label_plain=_TEXT,
    label_encrypted=_TEXT,
    upload_kb=_NUMBER,
    download_kb=_NUMBER,
    keys_kb=_NUMBER,
    seconds=_record(keygen=_NUMBER, encrypt=_NUMBER, server=_NUMBER, decrypt=_NUMBER),
)

BUNDLE_ADD = _record(
    bundle=_TEXT,
    classifier=_TEXT,
    new=_FLAG,
    classes={"type": "array", "items": _TEXT},
    resolution=_COUNT,
    channels=_COUNT,
    size=_COUNT,
    network_channels=_COUNT,
    parameters=_COUNT,
    folder=_TEXT,
    lacks=_TEXT_OR_NULL,
)

BUNDLE_REMOVE = _record(bundle=_TEXT, removed={"type": "array", "items": _TEXT})

_SIZES = {"bytes_down": _COUNT, "bytes_up": _COUNT}
_PRIVACY = _map(_record(epsilon=_NUMBER, delta=_NUMBER, steps=_COUNT, rate=_NUMBER, noise=_NUMBER, clip=_NUMBER))
_WHO = {"took_part": _map(_COUNT), "absent": _map(_TEXT), "privacy": _PRIVACY}
_ROUND = _record(phase=_TEXT, number=_COUNT, seconds=_NUMBER, **_WHO, **_SIZES)
_ROUNDS, _NAMES = {"type": "array", "items": _ROUND}, {"type": "array", "items": _TEXT}
FEDERATE = _record(plan={"type": "object"}, finished=_FLAG, failed=_TEXT_OR_NULL, started_again=_NAMES, rounds=_ROUNDS)

SCHEMAS = {
    "examine": EXAMINE,
    "examine --all": EXAMINE_ALL,
    "attack": ATTACK,
    "purify": PURIFY,
    "evaluate": EVALUATE,
    "calibrate": CALIBRATE,
    "faults": FAULTS,
    "encrypt": ENCRYPT,
    "federate run": FEDERATE,
    "bundle add": BUNDLE_ADD,
    "bundle remove": BUNDLE_REMOVE,
}


def checked(command: str, answer: Any) -> Any:
    """`answer` itself, once it is known to be what `command` promises; jsonschema.ValidationError otherwise."""
    jsonschema.validate(answer, SCHEMAS[command])
    return answer
