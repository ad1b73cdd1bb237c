"""The Across tasks page."""
