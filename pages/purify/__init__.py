"""The Purify page."""
