"""Attackers who know the defence: the protocol, its readings, tests for masked gradients, and what is recorded."""
