"""Hospitals that train together without pooling their scans."""
