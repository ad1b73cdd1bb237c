"""Where and in which precision the networks run."""

import torch


def device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def batch_size() -> int:
    """How many images suit the hardware at once: on a CPU the networks are fastest while a batch fits its cache."""
    return 4 if device().type == "cpu" else 128


def fast_dtype() -> torch.dtype:
    """bfloat16 where the hardware multiplies it natively, else float32: emulated bfloat16 is slower than float32."""
    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


def fast_autocast() -> torch.autocast:
    """What runs a network in bfloat16 where the hardware multiplies that natively."""
    return torch.autocast(device().type, torch.bfloat16, fast_dtype() == torch.bfloat16)
