"""The Faults page."""
