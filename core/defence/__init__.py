"""The one path of a scan, from its pixels to an answer and the evidence for it."""
