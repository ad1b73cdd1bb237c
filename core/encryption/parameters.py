"""Encryption parameters that were chosen and measured, and what each of them costs.

CKKS (Cheon, Kim, Kim and Song 2017) computes on numbers modulo a product of primes in a ring of polynomials. A larger
degree or a smaller modulus is safer, a larger modulus is more precise or goes deeper. The limits are those of the
HomomorphicEncryption.org standard (Albrecht et al. 2018, table 1: classical attacks, ternary secret, deviation 3.2).
"""

from dataclasses import dataclass, replace

from core.encryption.heads import TOKEN_SIZE, Shape, check_kind, depth_of

MAX_HIDDEN = 64
"""Hidden units that a polynomial head may have: its layout repeats after so many slots."""

MAX_CLASSES = 8
"""Classes of a polynomial head."""

MODULUS_LIMITS = {
    1024: {128: 27, 192: 19, 256: 14},
    2048: {128: 54, 192: 37, 256: 29},
    4096: {128: 109, 192: 75, 256: 58},
    8192: {128: 218, 192: 152, 256: 118},
    16384: {128: 438, 192: 305, 256: 237},
}
"""Degree → security in bits → the most bits that the whole modulus may have."""


@dataclass(frozen=True)
class Preset:
    """One choice of parameters.

    Attributes
    ----------
    title : str
        What it is for, in a few words.
    degree : int
        Degree of the polynomials: so many numbers fit into one ciphertext as coefficients, half as many as slots.
    prime_bits : tuple of int
        Sizes of the primes. Where there are several, the last serves key switching alone and no ciphertext carries it.
    token_bits, weight_bits, output_bits : int
        The powers of two by which the token, the weights that it meets, and a polynomial head's last weights are
        multiplied before they are rounded to integers.
    depth : int
        Multiplications one after another that it carries; 0 adds only.
    step_bits : int
        What is decrypted is rounded to multiples of 2^-step_bits, see `core.encryption.client`.
    precision : float
        Largest error of a logit to be expected, with the rounding; a bound that the tests hold it to.
    upload_kb, download_kb, keys_kb : float
        Measured sizes in KB (1000 bytes) of an encrypted token, of its answer, and of the keys that are sent once, with
        the deepest head that it carries; for the preset that only adds, of one ciphertext.
    """

    name: str
    title: str
    degree: int
    prime_bits: tuple[int, ...]
    token_bits: int
    weight_bits: int
    output_bits: int
    depth: int
    step_bits: int
    precision: float
    upload_kb: float
    download_kb: float
    keys_kb: float

    @property
    def slots(self) -> int:
        """Return how many complex numbers one ciphertext holds side by side."""
        return self.degree // 2

    @property
    def modulus_bits(self) -> int:
        """Return the bits of the whole modulus, that of key switching included."""
        return sum(self.prime_bits)

    @property
    def security(self) -> int:
        """Return the bits of security that the standard's table gives it: 128, 192 or 256."""
        return max(bits for bits, limit in MODULUS_LIMITS[self.degree].items() if self.modulus_bits <= limit)

    @property
    def step(self) -> float:
        """Return the distance between two numbers that a decryption can return."""
        return 2.0**-self.step_bits

    @property
    def max_classes(self) -> int:
        """Return how many classes of a linear head one ciphertext holds, with room for known zeros."""
        return self.degree // TOKEN_SIZE - 1


_POLYNOMIAL = Preset(
    name="polynomial",
    title="a hidden layer, 192-bit security, precise",
    degree=8192,
    prime_bits=(44, 44, 40, 24),
    token_bits=35,
    weight_bits=36,
    output_bits=17,
    depth=3,
    step_bits=11,
    precision=5e-4,
    upload_kb=154.0,
    download_kb=159.0,
    keys_kb=4510.0,
)

_ALL = (
    Preset(
        name="linear",
        title="one layer, 256-bit security, no rotation keys at all",
        degree=4096,
        prime_bits=(56,),
        token_bits=23,
        weight_bits=23,
        output_bits=0,
        depth=1,
        step_bits=11,
        precision=5e-4,
        upload_kb=31.1,
        download_kb=62.0,
        keys_kb=0.02,
    ),
    _POLYNOMIAL,
    Preset(
        name="polynomial-fast",
        title="a hidden layer, 128-bit security, small and quick, less precise",
        degree=4096,
        prime_bits=(32, 32, 24, 21),
        token_bits=23,
        weight_bits=24,
        output_bits=11,
        depth=3,
        step_bits=7,
        precision=1e-2,
        upload_kb=50.3,
        download_kb=51.1,
        keys_kb=1430.0,
    ),
    replace(
        _POLYNOMIAL,
        name="polynomial-strong",
        title="a hidden layer, 256-bit security, precise, twice as large",
        degree=16384,
        upload_kb=317.0,
        download_kb=327.0,
        keys_kb=10100.0,
    ),
    Preset(
        name="sum",
        title="adding only, 192-bit security, for encrypted means",
        degree=2048,
        prime_bits=(37,),
        token_bits=28,
        weight_bits=0,
        output_bits=0,
        depth=0,
        step_bits=20,
        precision=1e-6,
        upload_kb=12.2,
        download_kb=24.1,
        keys_kb=0.02,
    ),
)

PRESETS = {preset.name: preset for preset in _ALL}


def find_preset(name: str) -> Preset:
    """Return the preset of this name; raise ValueError, one sentence, where there is none."""
    if name not in PRESETS:
        raise ValueError(f"There is no encryption preset named {name!r}; choose one of: {', '.join(PRESETS)}.")
    return PRESETS[name]


def default_preset(shape: Shape) -> Preset:
    """Return the first of `PRESETS` that carries a head; raise ValueError, one sentence, where none does.

    For a linear head that is the smallest; for a polynomial one `polynomial-fast` is smaller, less safe and precise.
    """
    check_kind(shape.kind)
    able = [preset for preset in PRESETS.values() if preset.depth >= depth_of(shape.kind)]
    chosen = next((preset for preset in able if not _mismatch(preset, shape)), able[-1])
    check_preset(chosen, shape)
    return chosen


def check_preset(preset: Preset, shape: Shape) -> None:
    """Refuse a preset that can't carry a head, before anything is encrypted.

    Raises
    ------
    ValueError
        Too few multiplications, or too many classes or hidden units for one ciphertext; one sentence.
    """
    if reason := _mismatch(preset, shape):
        raise ValueError(reason)


def _mismatch(preset: Preset, shape: Shape) -> str | None:
    need = depth_of(shape.kind)
    if need > preset.depth:
        able = ", ".join(name for name, other in PRESETS.items() if other.depth >= need)
        return (
            f"The preset {preset.name} carries a multiplicative depth of {preset.depth} and the {shape.kind} head "
            f"needs {need}; choose one of: {able}."
        )
    if shape.kind == "linear" and shape.classes > preset.max_classes:
        return (
            f"The preset {preset.name} holds a linear head of up to {preset.max_classes} classes, not "
            f"{shape.classes}; choose a preset of a larger degree."
        )
    if shape.hidden > MAX_HIDDEN or (shape.kind == "polynomial" and shape.classes > MAX_CLASSES):
        return (
            f"A polynomial head may have up to {MAX_HIDDEN} hidden units and {MAX_CLASSES} classes, not "
            f"{shape.hidden} and {shape.classes}; take a smaller one."
        )
    return None
