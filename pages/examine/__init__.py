"""The Examine page."""
