"""A network's answers on the same scans again and again, from the first damaged stage on.

What lies before the damage is computed once. Of a mixture, only the experts and the gate that were hit are run again.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from core.faults.parts import network_parts, stage_of
from core.faults.sites import Fault, by_tensor, flipped_output, hook_activations
from core.models.experts import MixtureOfExperts, combine
from core.models.stages import Stage

BATCH = 32  # scans at a time: fewer take more calls, more take more memory
Exit = Callable[[str, Tensor], Tensor]


class Recompute:
    """Cached activations of some scans at the entry of every stage.

    Parameters
    ----------
    network : Module
        Undamaged, in eval mode; a chain with `stages()`, a mixture of such, or any other network (run whole).
    pixels : Tensor
        (N, C, H, W) in [0, 1].
    batch : int
        How many scans are run at once.
    exit : callable, optional
        Called with the name and the (B, …) output of every stage that is run, batch after batch; what it returns goes
        on in the output's place. Where activations are watched or clipped to a range, this is done here.
    """

    @torch.no_grad()
    def __init__(self, network: nn.Module, pixels: Tensor, batch: int = BATCH, exit: Exit | None = None):
        self._exit = exit or _as_it_is
        self._entries: dict[str, tuple[Tensor, ...]] = {}
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        self._outputs = {
            part: torch.cat(self._run(stages, pixels.split(batch), {}, keep=True))
            for part, stages in network_parts(network).items()
        }
        self._logits = _joined(network, self._outputs)

    def logits(self) -> Tensor:
        """(N, classes) of the undamaged network."""
        return self._logits

    @torch.no_grad()
    def logits_with(self, copy: nn.Module, faults: Sequence[Fault]) -> Tensor:
        """(N, classes) of a damaged copy, from the first stage that a fault hits.

        Parameters
        ----------
        copy : Module
            A copy of the network whose weights bear the weight faults already. Activation faults are added here, by
            hooks that are gone again afterwards: don't give a copy that `damaged` made for activation faults.
        faults : sequence of Fault
            They say where to start; with none, the cached answers are returned.

        Raises
        ------
        ValueError
            An activation has no such element; one sentence.
        """
        struck = {stage_of(copy, fault.tensor) for fault in faults}
        flips = by_tensor(faults, "activation")
        outputs = dict(self._outputs)
        handles = hook_activations(copy, faults)
        try:
            for part, stages in network_parts(copy).items():
                first = next((index for index, stage in enumerate(stages) if stage.name in struck), None)
                if first is not None:
                    entry = self._entries[stages[first].name]
                    outputs[part] = torch.cat(self._run(stages[first:], entry, flips))
        finally:
            for handle in handles:
                handle.remove()
        return _joined(copy, outputs) if struck else self._logits

    def _run(
        self, stages: Sequence[Stage], batches: Sequence[Tensor], flips: dict[str, list[Fault]], keep: bool = False
    ) -> tuple[Tensor, ...]:
        """Each batch through each stage, stage after stage; with `keep` what each stage was given is kept."""
        for stage in stages:
            if keep:
                self._entries[stage.name] = tuple(batches)
            batches = tuple(self._through(stage, entry, flips.get(stage.name, ())) for entry in batches)
        return tuple(batches)

    def _through(self, stage: Stage, entry: Tensor, flips: Sequence[Fault]) -> Tensor:
        output = stage.run(entry)
        return self._exit(stage.name, flipped_output(output, flips) if flips else output)


def _joined(network: nn.Module, outputs: dict[str, Tensor]) -> Tensor:
    if not isinstance(network, MixtureOfExperts):
        return outputs[""]
    logits = torch.stack([outputs[part] for part in outputs if part != "gate"], dim=1)
    return combine(network.weigh(outputs["gate"]), logits)


def _as_it_is(_stage: str, output: Tensor) -> Tensor:
    return output
