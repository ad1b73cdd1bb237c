"""A scan before an attack, attacked and purified: one story on every page that tells it."""
