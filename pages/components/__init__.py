"""What the pages share: the visit's state, the engine behind it, and the pieces they are drawn from."""
