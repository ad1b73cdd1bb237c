"""How well the defence does over a data set: protocols, operating points, timing."""
