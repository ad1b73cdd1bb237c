"""One recipe a component: a data set in, weights and a card of what was measured out."""
