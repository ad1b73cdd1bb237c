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
        "planes": ["axial"],
        "sequences": ["FLAIR", "T1", "T1 with contrast", "T2"],
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
        "default_classifier": "resnet18",
        "modalities": [],
    },
    "chest-xray": {
        "name": "chest-xray",
        "title": "Chest X-ray: normal or pneumonia",
        "classes": ["normal", "pneumonia"],
        "input": {"resolution": 28, "channels": 1},
        "default_classifier": "resnet18",
        "modalities": ["CR", "DX"],
    },
}
BRAIN_MRI = TASKS["brain-mri"]

# How often a batch draws from each class of a collection, where several are learned together: what decides on a class
# sees more of the scans that show the other half of the same heads, what learns how scans look more of the variety.
Weights = dict[tuple[str, int], float]
CLASSIFIER_WEIGHTS: Weights = {
    ("br35h", 0): 0.22,
    ("br35h", 1): 0.18,
    ("tcga-lgg", 0): 0.26,
    ("tcga-lgg", 1): 0.22,
    ("cheng", 1): 0.12,
}
PRIOR_WEIGHTS: Weights = {
    ("br35h", 0): 0.14,
    ("br35h", 1): 0.14,
    ("tcga-lgg", 0): 0.27,
    ("tcga-lgg", 1): 0.21,
    ("cheng", 1): 0.24,
}

BOXES = ("cheng",)  # collections whose masks are boxes around a tumour, and no outlines
SEQUENCES = {"cheng": "T1c"}  # of collections of one sequence whose file doesn't say it
# Site of a collection → what its hospital is called, and what it is (TCGA's codes of tissue source sites).
HOSPITALS = {
    "CS": ("TCGA-CS", "Thomas Jefferson University, gliomas of lower grade: FLAIR, T1 and T1 with contrast."),
    "DU": ("TCGA-DU", "Henry Ford Hospital, gliomas of lower grade: FLAIR, T1 and T1 with contrast."),
    "EZ": ("TCGA-EZ", "University of North Carolina, gliomas of lower grade: FLAIR, T1 and T1 with contrast."),
    "FG": ("TCGA-FG", "Case Western Reserve University, gliomas of lower grade: FLAIR, T1 and T1 with contrast."),
    "br35h": ("Br35H", "A public collection of unstated origin, tumour and no tumour, mixed sequences."),
    "cheng": (
        "Cheng",
        "Two hospitals in China, T1 with contrast: gliomas, meningiomas, pituitary tumours.",
    ),
}


def short_name(bundle: str) -> str:
    """Return ``brain`` for ``brain-mri``: what a recipe's random numbers are named after."""
    return bundle.split("-")[0]
