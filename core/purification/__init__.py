"""One purification method a file; each is a generator of steps."""
