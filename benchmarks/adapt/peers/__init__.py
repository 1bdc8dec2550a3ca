"""Published ways to adapt that never beat the plain ones: rows of the benches, no part of the product."""
