"""The guard: which rung to try, whether what came of it may serve, and when it must go again."""
