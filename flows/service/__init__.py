"""Service: what a step of the loop needs around it, and what is kept of it."""
