"""What a network consists of: its memory, and the chains of stages through which a scan goes."""

from typing import cast

from torch import Tensor, nn

from core.models.experts import MixtureOfExperts
from core.models.stages import Stage, Staged


def float_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Dotted name → tensor, of every parameter and float buffer, BatchNorm's running statistics among them."""
    named = dict(network.named_parameters()) | dict(network.named_buffers())
    return {name: tensor.detach() for name, tensor in named.items() if tensor.is_floating_point()}


def network_parts(network: nn.Module) -> dict[str, tuple[Stage, ...]]:
    """The chains that a network consists of, their stages' names and prefixes as seen from the whole network.

    A chain is one part, named ''. A mixture has one part for each expert, 'experts.0' and so on, and one for the
    'gate'; its stages are named 'experts.0.layer1.0' and so on. Any other network is one part of one stage, 'network'.
    """
    if not isinstance(network, MixtureOfExperts):
        return {"": _chain(network)}
    experts = {f"experts.{index}": expert for index, expert in enumerate(network.experts)}
    parts = {part: tuple(_within(part, stage) for stage in _chain(expert)) for part, expert in experts.items()}
    return parts | {"gate": (Stage("gate", ("gate",), network.gate.forward),)}


def stage_names(network: nn.Module) -> list[str]:
    """The names of all stages, in the order of `network_parts`."""
    return [stage.name for stages in network_parts(network).values() for stage in stages]


def leaf_modules(network: nn.Module) -> dict[str, nn.Module]:
    """Dotted name → module, of the innermost modules: those that every way through the network runs."""
    return {name: module for name, module in network.named_modules() if name and not list(module.children())}


def stage_of(network: nn.Module, name: str) -> str:
    """The stage in which a tensor or module lies, or the stage of this very name.

    Raises
    ------
    ValueError
        It lies in none; one sentence.
    """
    stages = [stage for part in network_parts(network).values() for stage in part]
    found = [stage.name for stage in stages if stage.name == name] or [s.name for s in stages if s.holds(name)]
    if found:
        return found[0]
    raise ValueError(f"There is no layer named {name!r} in this network; it has: {some_of(stage_names(network))}.")


def some_of(names: list[str], most: int = 12) -> str:
    """The names with commas, the middle left out where there are more than `most`."""
    if len(names) > most:
        names = [*names[: most - 3], "…", *names[-2:]]
    return ", ".join(names)


def _chain(network: nn.Module) -> tuple[Stage, ...]:
    if hasattr(type(network), "stages"):  # on the class, as a network may have a submodule of that name
        return cast(Staged, network).stages()
    return (Stage("network", ("",), network.forward),)  # its forward, as `damaged` puts another in its place


def _within(part: str, stage: Stage) -> Stage:
    prefixes = tuple(f"{part}.{prefix}" if prefix else part for prefix in stage.prefixes)
    return Stage(f"{part}.{stage.name}", prefixes, stage.run)
