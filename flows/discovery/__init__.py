"""Around the causal graph: what is kept of it, what experts say, drivers on trial and in service."""
