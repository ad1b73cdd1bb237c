"""What `training.measure.federation` is made of."""
