"""Means that some dishonest hospitals can't move far, as Flower computes them; they need the extra."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.federation.averaging import State, weighted_average
from core.federation.flower import check_installed


def robust(rule: str, states: Sequence[State], counts: Sequence[int], dishonest: int) -> dict[str, Tensor]:
    """The states' median or trimmed mean, number by number, or the one that Krum believes.

    Parameters
    ----------
    rule : str
        'median', 'trimmed mean' or 'krum'.
    states : sequence of mapping of str to Tensor
        One a hospital, with the same names and shapes.
    counts : sequence of int
        Images of each hospital; they weigh whole numbers alone, counters of batches, which no rule need defend.
    dishonest : int
        Hospitals that the trimmed mean leaves out at either end, and that Krum reckons with.

    Raises
    ------
    ValueError
        Flower is missing, or too few hospitals for so many dishonest ones; one sentence.
    """
    check_installed()
    from flwr.app import Array, ArrayRecord, MessageType, Metadata, MetricRecord, RecordDict
    from flwr.app.message import make_message
    from flwr.serverapp.strategy import FedMedian, FedTrimmedAvg, Krum

    needed = {"median": 1, "trimmed mean": 2 * dishonest + 1, "krum": 2 * dishonest + 3}[rule]
    if len(states) < needed:
        raise ValueError(f"With {dishonest} dishonest sites, {rule} needs at least {needed} sites, not {len(states)}.")
    floats = [{name: value for name, value in state.items() if value.is_floating_point()} for state in states]
    counters = [{name: state[name] for name in set(state) - set(own)} for state, own in zip(states, floats)]
    if not any(floats):
        return weighted_average(counters, counts)
    replies = []
    for place, (state, count) in enumerate(zip(floats, counts)):
        arrays = ArrayRecord({name: Array(value.double().numpy()) for name, value in state.items()})
        content = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": count})})
        # Flower's strategies take messages; this one never travels, so its sender and its time say nothing.
        replies.append(make_message(Metadata(0, "", place, 0, "", "", 0.0, 1.0, MessageType.TRAIN), content))
    # Flower cuts a share of the hospitals, rounded down; half of one more keeps the rounding from losing one.
    cut = (dishonest + 0.5) / len(states)
    strategies: dict[str, Callable[[], Any]] = {
        "median": FedMedian,
        "trimmed mean": lambda: FedTrimmedAvg(beta=cut),
        "krum": lambda: Krum(num_malicious_nodes=dishonest),
    }
    combined, _ = strategies[rule]().aggregate_train(1, replies)
    assert combined is not None
    found = {name: torch.from_numpy(np.array(combined[name].numpy())) for name in floats[0]}
    shaped = {name: value.to(floats[0][name].dtype).reshape(floats[0][name].shape) for name, value in found.items()}
    return shaped | weighted_average(counters, counts)
