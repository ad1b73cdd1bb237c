"""How long encrypted prediction takes on this machine, beside TenSEAL's own product of a vector and a matrix.

python -m core.encryption.timing
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import tenseal

from core.encryption.aggregation import encrypted_mean
from core.encryption.heads import TOKEN_SIZE, Head, Shape
from core.encryption.parameters import PRESETS, Preset
from core.encryption.prediction import EncryptedPrediction, encrypted_steps, open_session
from core.encryption.service import Server

REPEATS = 15
REPEATS_TENSEAL = 3
WARM_UP = 3
CLASSES = 3
HIDDEN = 64
CLIENTS = 3
LENGTHS = (TOKEN_SIZE, 50_000)
TENSEAL_PRIME_BITS = {"linear": (60, 40, 40, 60), "polynomial": (50, 32, 32, 32, 50)}
"""TenSEAL's primes at degree 8192; its scale is that of the second."""


def measure_timings(repeats: int = REPEATS, repeats_tenseal: int = REPEATS_TENSEAL) -> Iterator[dict[str, Any]]:
    """Yield rows with medians: every head under every preset that carries it, TenSEAL's own, then encrypted means.

    Heads are random, with logits within about ± 15, and tokens of unit variance. Times are in ms, sizes in KB (1000
    bytes); 'server_ms' is what a real server process says that it computed, loading and saving included.
    """
    server, random = Server(), np.random.default_rng(0)
    try:
        server.health()  # starts it, which is no part of what is timed
        for head in [example_head(kind, random) for kind in TENSEAL_PRIME_BITS]:
            for preset in PRESETS.values():
                if preset.depth >= head.depth:
                    yield _prediction_row(head, preset, server, random, repeats)
            yield _tenseal_row(head, random, repeats_tenseal)
        for length in LENGTHS:
            yield _mean_row(length, server, random, repeats)
    finally:
        server.stop()


def example_head(kind: str, random: np.random.Generator, classes: int = CLASSES, hidden: int = HIDDEN) -> Head:
    """Return a random head whose logits, of tokens of unit variance, lie within about ± 15."""
    if kind == "linear":
        return Head(kind, (random.normal(0, 0.16, (classes, TOKEN_SIZE)), random.normal(size=classes)))
    first = random.normal(0, TOKEN_SIZE**-0.5, (hidden, TOKEN_SIZE)), random.normal(0, 0.3, hidden)
    return Head(kind, (*first, random.normal(0, 3 * hidden**-0.5, (classes, hidden)), random.normal(size=classes)))


def example_token(random: np.random.Generator) -> np.ndarray:
    """Return a (768,) random token of mean 0 and variance 1."""
    token = random.normal(size=TOKEN_SIZE)
    return (token - token.mean()) / token.std()


def _prediction_row(
    head: Head, preset: Preset, server: Server, random: np.random.Generator, repeats: int
) -> dict[str, Any]:
    start = time.perf_counter()
    with open_session(preset, head, server) as opened:
        keygen = time.perf_counter() - start
        runs: list[EncryptedPrediction] = []
        for _ in range(WARM_UP + repeats):
            *_, last = encrypted_steps(example_token(random), head, preset, server, opened)
            assert last.prediction is not None
            runs.append(last.prediction)
    runs = runs[WARM_UP:]
    stages = {f"{stage}_ms": _ms([run.seconds[stage] for run in runs]) for stage in ("encrypt", "server", "decrypt")}
    return {
        "head": _name(head.shape),
        "preset": preset.name,
        "keygen_ms": 1000 * keygen,
        **stages,
        "max_error": max(run.max_error for run in runs),
        "largest_logit": max(float(np.abs(run.plain_logits).max()) for run in runs),
        "upload_kb": median(run.upload_kb for run in runs),
        "download_kb": median(run.download_kb for run in runs),
        "keys_kb": runs[0].keys_kb,
        "n": len(runs),
    }


def _tenseal_row(head: Head, random: np.random.Generator, repeats: int) -> dict[str, Any]:
    bits = TENSEAL_PRIME_BITS[head.kind]
    context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=list(bits), n_threads=1)
    context.global_scale = 2.0 ** bits[1]
    context.generate_galois_keys()
    vector = tenseal.ckks_vector(context, example_token(random).tolist())
    seconds = [_timed(partial(_tenseal_logits, vector, head)) for _ in range(repeats)]
    return {
        "head": _name(head.shape),
        "preset": f"TenSEAL mm, 8192 {list(bits)}",
        "server_ms": _ms(seconds),
        "upload_kb": len(vector.serialize()) / 1000,
        "n": repeats,
    }


def _tenseal_logits(vector: Any, head: Head) -> Any:
    result = vector
    for place in range(0, len(head.weights), 2):
        result = result.square() if place else result
        result = result.mm(head.weights[place].T.tolist()) + head.weights[place + 1].tolist()
    return result


def _mean_row(length: int, server: Server, random: np.random.Generator, repeats: int) -> dict[str, Any]:
    vectors = [random.normal(0, 0.1, length) for _ in range(CLIENTS)]
    runs = [encrypted_mean(vectors, server) for _ in range(WARM_UP + repeats)][WARM_UP:]
    stages = {f"{stage}_ms": _ms([run.seconds[stage] for run in runs]) for stage in ("encrypt", "server", "decrypt")}
    return {
        "head": f"mean of {CLIENTS} × {length} numbers",
        "preset": "sum",
        **stages,
        "max_error": max(run.max_error for run in runs),
        "upload_kb": median(run.upload_kb for run in runs),
        "download_kb": median(run.download_kb for run in runs),
        "plain_kb": runs[0].plain_kb,
        "n": len(runs),
    }


def _name(shape: Shape) -> str:
    middle = f"-{shape.hidden}" if shape.hidden else ""
    return f"{shape.kind} {TOKEN_SIZE}{middle}-{shape.classes}"


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _ms(seconds: list[float]) -> float:
    return 1000 * median(seconds)


def main() -> None:
    """Print the rows, one a line."""
    for row in measure_timings():
        what, preset = row.pop("head"), row.pop("preset")
        figures = ", ".join(f"{name} {value:.3g}" for name, value in row.items())
        print(f"{what}, {preset}: {figures}", flush=True)


if __name__ == "__main__":
    main()
