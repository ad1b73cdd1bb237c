"""What is measured of a bundle, each by a command of its own, into JSON files of the bundle's folder."""
