"""What a bundle is without, in one sentence."""

from collections.abc import Container

#: The networks that a defence takes, by their entries in bundle.json.
DEFENCE = {"mae": "masked autoencoder", "unet": "diffusion model"}


def lacks_sentence(name: str, held: Container[str]) -> str | None:
    """Which networks of the defence a bundle is without, and what follows; None where it holds all.

    Parameters
    ----------
    name
        The bundle's.
    held : container of str
        The keys of `DEFENCE` that it has.
    """
    missing = [network for part, network in DEFENCE.items() if part not in held]
    if not missing:
        return None
    return (
        f"The bundle {name} holds no {' and no '.join(missing)}, so it can't detect attacks, purify what was "
        "attacked, or tell whether a picture is in its scope; choose a bundle that holds them."
    )
