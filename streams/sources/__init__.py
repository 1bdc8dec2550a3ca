"""Sources: files watched, MQTT, HTTP push, SQL; each hands over batches and keeps its cursor with the data.

``http`` (the push server) and ``mqtt`` and ``sql`` are imported where they are used: each brings its own library.
"""

from terracast.streams.sources.contract import (
           Cursor,
           IngestAnswer,
           Source,
           SourceBatch,
           SourceError,
           drain,
           ingest_from,
)
from terracast.streams.sources.files import FilesSource
from terracast.streams.sources.panels import arranged
from terracast.streams.sources.reports import Arrival, report_of, reports_of_rows
from terracast.streams.sources.rows import RowError, Terms

__all__ = [
           "Arrival",
           "Cursor",
           "FilesSource",
           "IngestAnswer",
           "RowError",
           "Source",
           "SourceBatch",
           "SourceError",
           "Terms",
           "arranged",
           "drain",
           "ingest_from",
           "report_of",
           "reports_of_rows",
]
