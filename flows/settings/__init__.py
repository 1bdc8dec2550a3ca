"""Settings: one TOML file a watched stream, parsed once into frozen values; an unknown key is refused.

Addresses of an outside MLflow or object store may also come from the environment (``MLFLOW_TRACKING_URI``,
``AWS_*``); secrets never stand in the file.
"""

from flows.settings.errors import SettingsError
from flows.settings.masking import shown
from flows.settings.push_source import PushSourceSettings
from flows.settings.reading import read_settings
from flows.settings.rows_source import RowsSourceSettings
from flows.settings.sections import BaseSettings, DiscoverySettings
from flows.settings.settings import Settings
from flows.settings.source import SourceContext, SourceSettings
from flows.settings.values import in_words, nanoseconds

__all__ = ["BaseSettings", "DiscoverySettings", "PushSourceSettings", "RowsSourceSettings", "Settings", "SettingsError",
           "SourceContext", "SourceSettings", "in_words", "nanoseconds", "read_settings", "shown"]
