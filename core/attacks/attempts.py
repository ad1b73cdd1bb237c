"""What the strong attacks share: who is fooled, each image's best attempt and random numbers, and restarts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.attacks.gradient import AttackStep, Model, per_pixel, project, radius

Attempt = Callable[[Tensor], Iterator[AttackStep]]  # indices of images → steps on these images
Generators = torch.Generator | Sequence[torch.Generator]


def checked_radius(eps: float, norm: str, norms: Sequence[str], attack: str) -> float:
    """`radius` for an attack that knows only some norms; ValueError names them."""
    size = radius(eps, norm)
    if norm not in norms:
        raise ValueError(f"{attack} takes the norm {' or '.join(norms)}, not {norm}; choose one of these.")
    return size


def check_counts(*counts: int) -> None:
    """ValueError unless steps, restarts and EOT samples are each at least 1."""
    if min(counts) < 1:
        raise ValueError("Steps, restarts and EOT samples must each be at least 1.")


def refuse_target(target: int | None, attack: str) -> None:
    """ValueError where a target is given to an attack that knows none."""
    if target is not None:
        raise ValueError(f"{attack} takes no target class; choose pgd, apgd, square or cw for one.")


def per_image_generators(generator: Generators, count: int) -> list[torch.Generator]:
    """Return one generator an image, so that its draws depend on its place in the batch and on nothing else in it.

    Where there is one an image already, these.
    """
    if not isinstance(generator, torch.Generator):
        return list(generator)
    seeds = torch.randint(2**62, (count,), generator=generator).tolist()
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def draw(generators: Sequence[torch.Generator], shape: Sequence[int], device: torch.device) -> Tensor:
    """Return (B, *shape) uniform in [0, 1), each image's from its own generator."""
    return torch.stack([torch.rand(tuple(shape), generator=generator) for generator in generators]).to(device)


@torch.no_grad()
def look(model: Model, pixels: Tensor, eot: int = 1) -> Tensor:
    """Return (B, classes) logits without a gradient, averaged over `eot` calls of the model."""
    return torch.stack([model(pixels) for _ in range(eot)]).mean(0)


def fooled(logits: Tensor, labels: Tensor, target: int | None = None) -> Tensor:
    """Return (B,) bool: another class than the label wins, or the target where one is given."""
    answer = logits.argmax(1)
    return answer != labels if target is None else answer == target


def margin(logits: Tensor, labels: Tensor, target: int | None = None) -> Tensor:
    """Return (B,) the best wrong logit minus the label's, or the target's minus the best other: above 0 where fooled.

    ValueError where there is no such target.
    """
    if target is not None and not 0 <= target < logits.shape[1]:
        raise ValueError(f"The target class must be between 0 and {logits.shape[1] - 1}, not {target}.")
    chosen = (labels if target is None else torch.full_like(labels, target)).unsqueeze(1)
    rest = logits.scatter(1, chosen, -torch.inf).amax(1)
    lead = logits.gather(1, chosen).squeeze(1) - rest
    return -lead if target is None else lead


def lengths(delta: Tensor, norm: str) -> Tensor:
    """Return (B,) the length of each image's perturbation in `norm`."""
    return delta.flatten(1).norm(p={"linf": torch.inf, "l2": 2, "l1": 1}[norm], dim=1)


def into_ball(attacked: Tensor, pixels: Tensor, size: float, norm: str) -> Tensor:
    """Return `attacked` in [0, 1], where it lies outside the ball projected onto it.

    What lies inside stays as it is to the bit: rounding could undo a perturbation that only just fools.
    """
    attacked = attacked.clamp(0, 1)
    projected = (pixels + project(attacked - pixels, size, norm)).clamp(0, 1)
    inside = lengths(attacked - pixels, norm) <= size
    return torch.where(per_pixel(inside), attacked, projected)


def put(whole: Tensor | None, rows: Tensor, part: Tensor) -> Tensor:
    """Return `whole` with the images `rows` replaced; `part` itself where it holds every image."""
    return part if whole is None or len(rows) == len(whole) else whole.index_copy(0, rows, part)


@dataclass
class Best:
    """Each image's best attempt: one that fools before one that doesn't, then the one with the higher loss.

    pixels (B, C, H, W); loss (B,), -inf before the first attempt; fooled (B,) bool.
    """

    pixels: Tensor
    loss: Tensor
    fooled: Tensor

    @classmethod
    def start(cls, pixels: Tensor) -> "Best":
        """Return the images themselves, before the first attempt."""
        loss = torch.full((len(pixels),), -torch.inf, device=pixels.device)
        return cls(pixels, loss, torch.zeros(len(pixels), dtype=torch.bool, device=pixels.device))

    def unfooled(self) -> Tensor:
        """Return the indices of the images that nothing has fooled yet."""
        return (~self.fooled).nonzero().squeeze(1)

    def offer(self, rows: Tensor, pixels: Tensor, loss: Tensor, fooled: Tensor) -> None:
        """Keep what is better than before; `rows` says which images the attempts are of."""
        old_loss, old_fooled = self.loss[rows], self.fooled[rows]
        won = (fooled & ~old_fooled) | ((fooled == old_fooled) & (loss > old_loss))
        self.replace(rows[won], pixels[won], loss[won], fooled[won])

    def replace(self, rows: Tensor, pixels: Tensor, loss: Tensor, fooled: Tensor) -> None:
        """Take these attempts on the images `rows`, be they better or not."""
        if len(rows):
            self.pixels = put(self.pixels, rows, pixels)
            self.loss, self.fooled = put(self.loss, rows, loss), put(self.fooled, rows, fooled)


def run_restarts(
    attempts: Sequence[Attempt],
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    target: int | None = None,
    eot: int = 1,
    until_fooled: bool = True,
    clean: Tensor | None = None,
) -> Iterator[AttackStep]:
    """Yield the steps of several attempts, one after the other, under one running index; each image keeps its best.

    Parameters
    ----------
    attempts : sequence of callables
        Indices of images → steps on these images. They may be one attack from several starts, or several attacks.
    until_fooled : bool
        Whether an image that is fooled, be it from the start, is left out of the later attempts.
    clean : Tensor, optional
        (B, classes) logits of the images themselves, where they are known.
    """
    every = torch.arange(len(pixels), device=pixels.device)
    best, index, loss, logits = Best.start(pixels), 0, None, None
    if until_fooled:
        logits = look(model, pixels, eot) if clean is None else clean
        loss = margin(logits, labels, target)
        best.offer(every, pixels, loss, fooled(logits, labels, target))
        if best.fooled.all():
            yield AttackStep(0, loss, pixels, logits)
    for attempt in attempts:
        rows = best.unfooled() if until_fooled else every
        if not len(rows):
            return
        held: AttackStep | None = None
        for step in attempt(rows):
            # One step is held back: the attempt's last one has to show what has been kept, which is known after it.
            if held is not None:
                yield held
            loss = put(loss, rows, step.loss)
            logits = logits if step.logits is None else put(logits, rows, step.logits)
            held = AttackStep(index, loss, put(best.pixels, rows, step.attacked), logits)
            index += 1
        assert held is not None, "An attempt yields at least one step."
        answer, row_labels = look(model, step.attacked, eot), labels[rows]
        best.offer(rows, step.attacked, margin(answer, row_labels, target), fooled(answer, row_labels, target))
        yield replace(held, attacked=best.pixels)
