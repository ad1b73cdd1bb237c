"""Encrypted prediction: a server computes the last layers of a network on a token that it can't read (CKKS).

Nothing here but `command` needs torch, and the server's process computes without it.
"""

from core.encryption.aggregation import EncryptedMean, encrypted_mean
from core.encryption.client import Client
from core.encryption.heads import KINDS, Head, Shape, head_of
from core.encryption.parameters import PRESETS, Preset, check_preset, default_preset, find_preset
from core.encryption.prediction import (
    STAGES,
    EncryptedPrediction,
    EncryptStep,
    Visit,
    encrypted_steps,
    open_visit,
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
    "Preset",
    "Server",
    "ServiceError",
    "Shape",
    "Visit",
    "check_preset",
    "default_preset",
    "encrypted_mean",
    "encrypted_steps",
    "find_preset",
    "head_of",
    "open_visit",
    "shared_server",
]
