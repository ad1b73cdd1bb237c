"""The Encrypt page."""
