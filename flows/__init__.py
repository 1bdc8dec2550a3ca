"""The loop as Prefect flows, the settings, the report and the ``terracast`` command."""
