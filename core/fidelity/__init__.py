"""How far a purified scan is from what it was: image metrics, the lesion, agreement over seeds."""
