"""Attacks and purifications as they went, kept in little memory to be watched and replayed."""
