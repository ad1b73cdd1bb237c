"""What the recipe of the acquisition network learns from, and how well it does."""
