"""What a server sees in an update or a token: it is inverted, and compared with the scan."""
