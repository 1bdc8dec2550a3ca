"""MLflow: versions, aliases, lineage, promote and rollback."""
