"""How well the defence does, measured over a data set."""
