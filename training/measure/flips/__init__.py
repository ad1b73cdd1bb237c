"""What `training.measure.faults` is made of."""
