"""What a round of a federation sends, in the open and encrypted."""

import math
from dataclasses import dataclass

FLOAT32 = 4
PAPER_SAVING = 30  # Amin et al. 2025: encrypted gradients over encrypted tokens, of one image


@dataclass(frozen=True)
class Communication:
    """Bytes that one hospital sends to the server in one round.

    Attributes
    ----------
    gradients_plain, gradients_encrypted : int
        One update of all parameters, whatever the number of its images: in float32, and in ciphertexts.
    token_encrypted : int
        The class tokens of its images, one ciphertext each, since a prediction is made of one ciphertext.
    """

    gradients_plain: int
    gradients_encrypted: int
    token_encrypted: int

    @property
    def saving(self) -> float:
        """How many times fewer bytes encrypted tokens are than encrypted gradients; `PAPER_SAVING` in the paper."""
        return self.gradients_encrypted / self.token_encrypted


def communication(
    parameters: int, slots: int, ciphertext_bytes: int, token_bytes: int | None = None, images: int = 1
) -> Communication:
    """Count what crosses in a round.

    Parameters
    ----------
    parameters : int
        Of the network, or of the part of it that is trained together.
    slots : int
        Numbers of an update that a ciphertext holds: half the degree of its polynomials, or all of it where numbers are
        their coefficients (Cheon et al. 2017, section 3.2).
    ciphertext_bytes : int
        Of one ciphertext of an update, as it is sent.
    token_bytes : int, optional
        Of the ciphertext of one token; by default as for an update.
    images : int
        Images a round.

    Raises
    ------
    ValueError
        A number below 1.
    """
    token_bytes = ciphertext_bytes if token_bytes is None else token_bytes
    if min(parameters, slots, ciphertext_bytes, token_bytes, images) < 1:
        raise ValueError("Parameters, slots, bytes of a ciphertext and images must each be at least 1.")
    return Communication(
        gradients_plain=FLOAT32 * parameters,
        gradients_encrypted=math.ceil(parameters / slots) * ciphertext_bytes,
        token_encrypted=images * token_bytes,
    )
