"""Encrypted prediction: a server computes the last layers of a network on a token that it can't read (CKKS).

Nothing here but `command` needs torch, and the server's processes compute without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.encryption.aggregation import EncryptedMean, encrypted_mean
    from core.encryption.client import Client
    from core.encryption.heads import KINDS, Head, Shape, head_of
    from core.encryption.parameters import PRESETS, Preset, check_preset, default_preset, find_preset
    from core.encryption.prediction import (
        STAGES,
        EncryptedPrediction,
        EncryptStep,
        PredictionSession,
        encrypted_steps,
        open_session,
    )
    from core.encryption.service import Server, ServiceError, shared_server

__all__ = [
    "KINDS",
    "PRESETS",
    "STAGES",
    "Client",
    "EncryptStep",
    "EncryptedMean",
    "EncryptedPrediction",
    "Head",
    "PredictionSession",
    "Preset",
    "Server",
    "ServiceError",
    "Shape",
    "check_preset",
    "default_preset",
    "encrypted_mean",
    "encrypted_steps",
    "find_preset",
    "head_of",
    "open_session",
    "shared_server",
]

_MODULES = {
    "aggregation": ("EncryptedMean", "encrypted_mean"),
    "client": ("Client",),
    "heads": ("KINDS", "Head", "Shape", "head_of"),
    "parameters": ("PRESETS", "Preset", "check_preset", "default_preset", "find_preset"),
    "prediction": (
        "STAGES",
        "EncryptedPrediction",
        "EncryptStep",
        "PredictionSession",
        "encrypted_steps",
        "open_session",
    ),
    "service": ("Server", "ServiceError", "shared_server"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: the server answers HTTP without numpy and SEAL."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"core.encryption.{module}"), name)
    raise AttributeError(f"module 'core.encryption' has no attribute {name!r}")
