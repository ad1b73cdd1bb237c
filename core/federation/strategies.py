"""What a federation may do with its hospitals' updates: what stays with each, and how the server combines the rest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from core.federation.averaging import personal_names

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
NOTHING, NORMALISATION, NORMALISATION_AND_HEAD = "nothing", "normalisation", "normalisation and head"


@dataclass(frozen=True)
class Strategy:
    """One way to federate.

    Attributes
    ----------
    name, title : str
        As the command line takes it, and what it does in a few words.
    keeps : str
        What never leaves a hospital: NOTHING, NORMALISATION or NORMALISATION_AND_HEAD.
    rule : str
        How the server combines what it gets: 'mean', 'median', 'trimmed mean' or 'krum'.
    pulls : bool
        Whether a hospital's loss holds it near the weights that the round began with.
    encrypted : bool
        Whether the server adds ciphertexts that it can't read.
    gated : bool
        Whether a gate over all hospitals' networks is trained afterwards.
    asks : bool
        Whether nothing is trained: the hospitals ask about encrypted class tokens, which the server's head answers.
    """

    name: str
    title: str
    keeps: str = NOTHING
    rule: str = "mean"
    pulls: bool = False
    encrypted: bool = False
    gated: bool = False
    asks: bool = False


_ALL = (
    Strategy("fedavg", "the mean over images (McMahan et al. 2017)"),
    Strategy("medfedpure", "a shared body, own BatchNorm and head, own gates", NORMALISATION_AND_HEAD, gated=True),
    Strategy("fedprox", "the mean, each held near the round's start (Li et al. 2020)", pulls=True),
    Strategy("fedbn", "the mean, with an own BatchNorm each (Li et al. 2021)", NORMALISATION),
    Strategy("median", "the median of each number (Yin et al. 2018)", rule="median"),
    Strategy("trimmed-mean", "the mean without the extremes of each number (Yin et al. 2018)", rule="trimmed mean"),
    Strategy("krum", "the update nearest to the others (Blanchard et al. 2017)", rule="krum"),
    Strategy("fedavg-ckks", "the mean of updates that the server can't read", encrypted=True),
    Strategy("token-ckks", "class tokens that the server classifies and can't read (Amin et al. 2025)", asks=True),
)
STRATEGIES = {strategy.name: strategy for strategy in _ALL}


def find_strategy(name: str) -> Strategy:
    """The strategy of this name; ValueError, one sentence, where there is none."""
    if name not in STRATEGIES:
        raise ValueError(f"There is no strategy named {name!r}; choose one of: {', '.join(STRATEGIES)}.")
    return STRATEGIES[name]


def kept_names(strategy: Strategy, network: nn.Module, head: str) -> frozenset[str]:
    """Names of the entries of a network's state that a strategy leaves with each hospital."""
    if strategy.keeps == NOTHING:
        return frozenset()
    personal = personal_names(network, head)
    if strategy.keeps == NORMALISATION:
        return frozenset(name for name in personal if not name.startswith(f"{head}."))
    return personal


def statistics_names(network: nn.Module) -> frozenset[str]:
    """Names of what BatchNorm has counted over a hospital's scans: means, variances, and the number of batches."""
    return frozenset(name for name in network.state_dict() if name.rpartition(".")[2] in STATISTICS)


def gate_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries of a mixture's state that are its gate's."""
    return {name: value for name, value in state.items() if name.startswith("gate.")}


def held_near(loss: Loss, start: nn.Module, strength: float) -> Loss:
    """A loss with FedProx's term, strength / 2 · ‖w − w_start‖² (Li et al. 2020, eq. 2).

    Parameters
    ----------
    loss : callable
        Network, batch, labels → ().
    start : Module
        With the weights that the round begins with.
    strength : float
        μ, at least 0.
    """
    anchor = {name: weight.detach().clone() for name, weight in start.named_parameters()}

    def pulled(network: nn.Module, pixels: Tensor, labels: Tensor) -> Tensor:
        own = loss(network, pixels, labels)
        for name, weight in network.named_parameters():
            if weight.requires_grad:
                own = own + strength / 2 * (weight - anchor[name]).square().sum()
        return own

    return pulled
