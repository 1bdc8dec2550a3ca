"""Search: from matrix to links that come back."""
