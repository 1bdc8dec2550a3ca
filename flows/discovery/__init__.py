"""Around the causal graph: what is kept of it, its story, and what experts say."""
