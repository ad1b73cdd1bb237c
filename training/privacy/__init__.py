"""What can be made of what leaves a site, measured."""
