"""What the live loop says of changes planted into real streams."""
