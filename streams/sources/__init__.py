"""Sources: files watched, MQTT, HTTP push, SQL; each hands over batches and keeps its cursor with the data.

``http`` (the push server) and ``mqtt`` and ``sql`` are imported where they are used: each brings its own library.
"""

from streams.sources.contract import Answer, Batch, Source, SourceError, drain, ingest_from
from streams.sources.files import FilesSource
from streams.sources.rows import Terms

__all__ = ["Answer", "Batch", "FilesSource", "Source", "SourceError", "Terms", "drain", "ingest_from"]
