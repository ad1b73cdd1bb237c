"""NIfTI: headers, the way onto the screen, volumes."""
