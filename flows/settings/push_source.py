"""Sources of type ``push``: what was posted to ``terracast listen``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from terracast.flows.settings.rows_source import RowsSourceSettings
from terracast.flows.settings.source import SourceContext

if TYPE_CHECKING:
    from terracast.streams.sources.inbox import InboxSource


class PushSourceSettings(RowsSourceSettings):
    """An inbox of the domain, drained by each step."""

    type: Literal["push"] = "push"

    def build(self, context: SourceContext) -> InboxSource:
        """The inbox that ``terracast listen`` fills."""
        from terracast.streams.sources.http import inbox_folder
        from terracast.streams.sources.inbox import InboxSource

        return InboxSource(f"{self.domain}:push", self.terms(), inbox_folder(context.inbox, self.domain))
