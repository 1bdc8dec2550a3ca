"""Small pieces of statistics and geometry that several rooms need: below all of them, knowing none."""
