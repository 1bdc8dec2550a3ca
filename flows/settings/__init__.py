"""Settings: one TOML file a watched stream, parsed once into frozen values; an unknown key is refused.

Addresses of an outside MLflow or object store may also come from the environment (``MLFLOW_TRACKING_URI``,
``AWS_*``); secrets never stand in the file.
"""

from terracast.flows.settings.errors import SettingsError
from terracast.flows.settings.masking import shown
from terracast.flows.settings.push_source import PushSourceSettings
from terracast.flows.settings.reading import read_settings
from terracast.flows.settings.rows_source import RowsSourceSettings
from terracast.flows.settings.sections import BaseSettings, DiscoverySettings
from terracast.flows.settings.settings import Settings
from terracast.flows.settings.source import SourceContext, SourceSettings
from terracast.flows.settings.values import in_words, nanoseconds

__all__ = ["BaseSettings", "DiscoverySettings", "PushSourceSettings", "RowsSourceSettings", "Settings", "SettingsError",
           "SourceContext", "SourceSettings", "in_words", "nanoseconds", "read_settings", "shown"]
