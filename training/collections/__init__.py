"""What brings collections as they are published into the layout that recipes and `core evaluate` read."""
