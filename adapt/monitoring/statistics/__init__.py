"""Statistics: from residuals to one row of test statistics a block."""
