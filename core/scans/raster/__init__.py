"""Ordinary pictures as scans: PNG, JPEG, TIFF, BMP and WebP."""
