"""One recipe a component: data in, weights/<bundle>/ out, with the metrics it measured."""
