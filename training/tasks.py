"""The clinical tasks, one a bundle under weights/: what its bundle.json begins with."""

from typing import Any

TASKS: dict[str, dict[str, Any]] = {
    "brain-mri": {
        "name": "brain-mri",
        "title": "Brain MRI: tumour or no tumour",
        "classes": ["no tumour", "tumour"],
        "input": {"resolution": 128, "channels": 1},
        "default_classifier": "resnet18",
        "modalities": ["MR"],
        "content": "content.safetensors",
        "calibration": "calibration.json",
    },
    "blood-cells": {
        "name": "blood-cells",
        "title": "Blood cells: which of eight kinds",
        "classes": [
            "basophil",
            "eosinophil",
            "erythroblast",
            "immature granulocyte",
            "lymphocyte",
            "monocyte",
            "neutrophil",
            "platelet",
        ],
        "codes": ["basophil", "eosinophil", "erythroblast", "ig", "lymphocyte", "monocyte", "neutrophil", "platelet"],
        "input": {"resolution": 64, "channels": 3},
        "default_classifier": "mamba",
        "modalities": [],
    },
    "lung-histology": {
        "name": "lung-histology",
        "title": "Lung tissue: normal, adenocarcinoma or squamous cell carcinoma",
        "classes": ["normal lung", "adenocarcinoma", "squamous cell carcinoma"],
        "codes": ["lung_n", "lung_aca", "lung_scc"],
        "input": {"resolution": 128, "channels": 3},
        "default_classifier": "vit",
        "modalities": [],
    },
}
BRAIN_MRI = TASKS["brain-mri"]
