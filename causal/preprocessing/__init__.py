"""Preprocessing: from panels to the matrix that a search reads."""
