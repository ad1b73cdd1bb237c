"""Orders and answers as Flower's records, and back."""

import json
import math
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from core.federation.averaging import State
from core.federation.plan import Order
from core.federation.privacy.account import RECORDED
from core.federation.site import Answer

STATE, CONFIG = "state", "config"
MISFIT = "What came is no message of a federation; use the same version on both sides."


def order_record(order: Order, state: State) -> RecordDict:
    """What a site is asked, and what the round begins with."""
    return RecordDict({STATE: _packed(state), CONFIG: ConfigRecord({"order": order.to_json()})})


def read_order(record: RecordDict) -> tuple[Order, dict[str, Tensor]]:
    """The inverse of `order_record`; ValueError, one sentence, where the record is something else."""
    return Order.from_json(str(_entry(record, "order"))), _tensors(record)


def answer_record(answer: Answer) -> RecordDict:
    """What a site answers."""
    entries: Any = {"count": answer.count, "seconds": answer.seconds, "again": answer.again}
    entries["privacy"] = json.dumps(dict(answer.privacy))
    return RecordDict({STATE: _packed(answer.state), CONFIG: ConfigRecord(entries)})


def refusal_record(sentence: str) -> RecordDict:
    """Why a site doesn't answer."""
    return RecordDict({CONFIG: ConfigRecord({"refused": sentence})})


def read_refusal(record: RecordDict) -> str | None:
    """Why a site doesn't answer; None where it does."""
    config = record.get(CONFIG)
    return str(config["refused"]) if isinstance(config, ConfigRecord) and "refused" in config else None


def read_answer(record: RecordDict) -> Answer:
    """The inverse of `answer_record`; ValueError, one sentence, where the record is something else."""
    count, seconds, again, privacy = (_entry(record, name) for name in ("count", "seconds", "again", "privacy"))
    if not isinstance(count, int) or count < 1 or not isinstance(seconds, (int, float)):
        raise ValueError(MISFIT)
    return Answer(_tensors(record), count, float(seconds), bool(again), _spent(str(privacy)))


def _spent(text: str) -> dict[str, float]:
    """What a site says of its privacy: nothing, or the numbers that `Account.record` has."""
    try:
        found = json.loads(text)
        if found and found.keys() != RECORDED:
            raise ValueError(MISFIT)
        spent = {name: int(value) if name == "steps" else float(value) for name, value in found.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(MISFIT) from error
    if not all(math.isfinite(value) and value >= 0 for value in spent.values()):
        raise ValueError(MISFIT)
    return spent


def _entry(record: RecordDict, name: str) -> object:
    config = record.get(CONFIG)
    if not isinstance(config, ConfigRecord) or name not in config:
        raise ValueError(MISFIT)
    return config[name]


def _packed(state: State) -> ArrayRecord:
    """A state as one array of bytes: Flower fetches every array of a record by a request of its own."""
    content = save({name: value.contiguous() for name, value in state.items()})
    return ArrayRecord({STATE: Array(np.frombuffer(content, dtype=np.uint8))})


def _tensors(record: RecordDict) -> dict[str, Tensor]:
    arrays = record.get(STATE)
    if not isinstance(arrays, ArrayRecord) or STATE not in arrays:
        raise ValueError(MISFIT)
    try:
        return load(arrays[STATE].numpy().tobytes())
    except (ValueError, TypeError, SafetensorError) as error:
        raise ValueError(MISFIT) from error
