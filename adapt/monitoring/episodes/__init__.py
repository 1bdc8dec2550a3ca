"""Episodes: all evidence of one change of the world, from first alarm to recovery."""
