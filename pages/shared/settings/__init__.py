"""What a visitor chooses before an examination."""
