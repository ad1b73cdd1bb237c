"""Where a fault can strike a network, and a private copy that bears it."""

import copy
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from core.bundles import Bundle
from core.faults.bits import check_bit, check_index, flip_bit
from core.faults.parts import float_tensors, leaf_modules, network_parts, some_of, stage_names
from core.models.stages import Stage

KINDS = ("weight", "activation")

AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)


@dataclass(frozen=True)
class Fault:
    """One bit flip.

    Attributes
    ----------
    tensor : str
        For a weight, its name in the state_dict (parameters and float buffers); for an activation, the dotted name of a
        leaf module, or the name of a stage, whose output is hit.
    index : int
        Which element, counted in row-major order from 0; for an activation among the elements of one scan's output,
        and that element is hit in each scan of a batch.
    bit : int
        0 for the lowest, 31 (float32) or 15 (bfloat16) for the sign.
    form : str
        One of `core.faults.bits.FORMATS`.
    kind : str
        'weight' or 'activation'.
    """

    tensor: str
    index: int
    bit: int
    form: str = "float32"
    kind: str = "weight"


def fault_sites(network: nn.Module) -> dict[str, int]:
    """Name → number of elements, of every parameter and float buffer: all of it is memory that can be hit."""
    return {name: tensor.numel() for name, tensor in float_tensors(network).items()}


@torch.no_grad()
def activation_sites(network: nn.Module, pixels: Tensor) -> dict[str, int]:
    """Name → number of elements in one scan's output, of every leaf module and every stage, in the order they are run.

    A module whose output has another first dimension than the batch is no site.

    Parameters
    ----------
    network : Module
        Left as it is: the sizes are found on a copy.
    pixels : Tensor
        (N, C, H, W) in [0, 1]; the first scan alone is looked at.
    """
    private, sizes = private_copy(network), dict[str, int]()
    pixels = pixels[:1].expand(2, -1, -1, -1)  # two, so that an output that folds the batch into something else is told
    batches = (2, 4) if getattr(network, "mirrored", False) else (2,)  # its modules see the mirror images as well

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.is_floating_point() and output.ndim and len(output) in batches:
            sizes.setdefault(name, output.numel() // len(output))

    for name, module in leaf_modules(private).items():
        module.register_forward_hook(lambda _module, _inputs, output, name=name: note(name, output))
    for stages in network_parts(private).values():
        output = pixels
        for stage in stages:
            output = stage.run(output)
            note(stage.name, output)
    return sizes


def check_fault(network: nn.Module, fault: Fault) -> None:
    """ValueError in one sentence for an unknown tensor, a bit outside the format or an index beyond the tensor.

    How many elements an activation has is known only where pixels are; its index is checked when it is applied.
    """
    check_bit(fault.bit, fault.form)
    check_kind(fault.kind)
    if fault.kind == "activation":
        _check_name(fault.tensor, [*stage_names(network), *leaf_modules(network)], "stage or innermost module")
        check_index(fault.index, fault.index + 1 if fault.index >= 0 else 1)
        return
    sites = fault_sites(network)
    _check_name(fault.tensor, list(sites), "tensor")
    try:
        check_index(fault.index, sites[fault.tensor])
    except ValueError as error:
        raise ValueError(f"{fault.tensor}: {error}") from error


def check_kind(kind: str) -> None:
    """ValueError in one sentence where faults of this kind don't exist."""
    if kind not in KINDS:
        raise ValueError(f"There are no faults of the kind {kind!r}; choose one of: {', '.join(KINDS)}.")


def private_copy(network: AnyNetwork, rounded: bool = False) -> AnyNetwork:
    """A deep copy in eval mode that asks for no gradients, on request with all its numbers rounded to bfloat16."""
    private = copy.deepcopy(network).eval().requires_grad_(False)
    if rounded:
        for tensor in float_tensors(private).values():
            tensor.copy_(tensor.bfloat16())
    return private


def damaged(network: AnyNetwork, faults: Sequence[Fault]) -> AnyNetwork:
    """A copy of the network with the faults in it; the network itself is left as it is.

    Weights are flipped in the copy. Activations are flipped whenever the copy's forward runs. A network in bfloat16 is
    widened to float32 (which changes no value) where a fault asks for float32.

    Raises
    ------
    ValueError
        See `check_fault`.
    """
    for fault in faults:
        check_fault(network, fault)
    private = private_copy(network)
    if any(fault.form == "float32" for fault in faults):
        private.float()
    flip_weights(private, faults)
    hook_activations(private, faults)
    at_stages = by_tensor(faults, "activation").keys() & set(stage_names(private))
    for part, stages in network_parts(private).items():
        if at_stages & {stage.name for stage in stages}:
            private.get_submodule(part).forward = _through(stages, faults)
    return private


def flip_weights(network: nn.Module, faults: Sequence[Fault]) -> None:
    """Flip the weight faults among `faults` in place, on a private copy; a second time undoes float32 flips."""
    tensors = float_tensors(network)
    for name, struck in by_tensor(faults, "weight").items():
        for form in {fault.form for fault in struck}:
            index, bit = zip(*((fault.index, fault.bit) for fault in struck if fault.form == form))
            flip_bit(tensors[name], torch.tensor(index), torch.tensor(bit), form)


def hook_activations(network: nn.Module, faults: Sequence[Fault]) -> list[RemovableHandle]:
    """Hooks on a private copy that flip the outputs of the modules that faults name; those at stages are left out."""
    stages = stage_names(network)
    return [
        network.get_submodule(name).register_forward_hook(_flipping(struck))
        for name, struck in by_tensor(faults, "activation").items()
        if name not in stages
    ]


def flipped_output(output: Tensor, faults: Sequence[Fault]) -> Tensor:
    """(B, …) → the same with the activation faults in each of the B scans; the output given is left as it is.

    Raises
    ------
    ValueError
        A fault's index lies beyond one scan's output; one sentence.
    """
    output, each = output.clone(), output[:1].numel()
    starts = torch.arange(len(output)) * each
    for fault in faults:
        try:
            check_index(fault.index, each)
        except ValueError as error:
            raise ValueError(f"{fault.tensor}: {error}") from error
        flip_bit(output, starts + fault.index, fault.bit, fault.form)
    return output


def by_tensor(faults: Sequence[Fault], kind: str) -> dict[str, list[Fault]]:
    """The faults of one kind, by the tensor that they strike."""
    struck: dict[str, list[Fault]] = {}
    for fault in faults:
        if fault.kind == kind:
            struck.setdefault(fault.tensor, []).append(fault)
    return struck


def damaged_bundle(bundle: Bundle, network_name: str, faults: Sequence[Fault]) -> Bundle:
    """The bundle with one damaged network, for `core.examine`; everything else is shared with the bundle given.

    Parameters
    ----------
    network_name : str
        A classifier's name, or 'mae'.

    Raises
    ------
    ValueError
        The bundle has no such network, or see `check_fault`; one sentence.
    """
    if network_name == "mae":
        if bundle.mae is None:
            raise ValueError(f"The bundle {bundle.name} has no MAE that could be damaged; choose a classifier.")
        return replace(bundle, mae=damaged(bundle.mae, faults))
    name = bundle.classifier_name(network_name)
    return replace(bundle, classifiers={**bundle.classifiers, name: damaged(bundle.classifiers[name], faults)})


def network_digest(network: nn.Module) -> str:
    """SHA-256, in hex, over names and bytes of all tensors: the same before and after what leaves a network alone."""
    digest = hashlib.sha256()
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _check_name(name: str, known: list[str], what: str) -> None:
    if name not in known:
        near = get_close_matches(name, known, n=3)
        raise ValueError(
            f"There is no {what} named {name!r} in this network; "
            + (f"perhaps {' or '.join(near)}." if near else f"it has: {some_of(known)}.")
        )


def _flipping(faults: list[Fault]) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    return lambda _module, _inputs, output: flipped_output(output, faults)


def _through(stages: Sequence[Stage], faults: Sequence[Fault]) -> Callable[[Tensor], Tensor]:
    """A forward that runs stages one after another, for faults at the exit of a stage."""
    struck = by_tensor(faults, "activation")

    def forward(pixels: Tensor) -> Tensor:
        output = pixels
        for stage in stages:
            output = flipped_output(stage.run(output), struck.get(stage.name, ()))
        return output

    return forward
