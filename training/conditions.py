"""A condition is no attack, an attack or a benign change: what it is called, and pixels under it."""

from torch import Tensor, nn

from core.attacks import CORRUPTIONS, METHODS, AttackSettings, attack_steps, longest_run


def condition_name(settings: AttackSettings) -> str:
    """Return ``clean``, ``pgd 8/255`` or ``motion 2``: what records call it."""
    if settings.method is None:
        return "clean"
    if settings.method in CORRUPTIONS:
        return f"{settings.method} {settings.severity}"
    return f"{settings.method} {radius_words(settings)}"


def condition_title(settings: AttackSettings) -> str:
    """Return ``no attack``, ``PGD-40, 8/255`` or ``Motion, severity 2``: what tables call it."""
    if settings.method is None:
        return "no attack"
    if settings.method in CORRUPTIONS:
        return f"{METHODS[settings.method].title}, severity {settings.severity}"
    steps = f"-{longest_run(settings)}" if settings.steps or settings.method == "pgd" else ""
    knowing = f" with EOT-{settings.eot} through the defence" if settings.white_box else ""
    return f"{METHODS[settings.method].title.split(' (')[0]}{steps}{knowing}, {radius_words(settings)}"


def radius_words(settings: AttackSettings) -> str:
    """Return ``8/255``, ``ℓ2 1`` or ``ℓ1 12``: how far an attack may go."""
    return f"{settings.eps:g}/255" if settings.norm == "linf" else f"ℓ{settings.norm[1:]} {settings.eps:g}"


def pixels_under(settings: AttackSettings, network: nn.Module, pixels: Tensor, labels: Tensor, seed: int) -> Tensor:
    """Return (B, C, H, W) pixels as the condition leaves them; an attack faces `network` and the (B,) true labels."""
    if settings.method is None:
        return pixels
    for step in attack_steps(network, pixels, labels, settings, seed):
        after = step.attacked
    return after
