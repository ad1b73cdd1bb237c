"""The Federate page."""
