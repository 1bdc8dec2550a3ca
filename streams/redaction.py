"""Text that may be shown: without what addresses in it carry for the eyes of a server alone."""

from __future__ import annotations

import re

# user:password@ up to the last @ of the word, whatever signs the password has, but not host:port/…@; or user@ alone
_USER = re.compile(r"://(?:[^/?#\s:@]*:(?!\d+(?:[/?#\s]|$))\S*|[^/\s]*)@")
_PARAMETER = re.compile(r"([?&;](?:password|passwd|pwd|sslpassword|token|secret|api_?key|sig|signature|"
                        r"aws_secret_access_key|x-amz-signature|x-amz-security-token)=)[^&;\s'\")]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """The text without user, password and keys in any address it holds.

    >>> redacted("cannot reach postgresql://ann:secr/et@db/mlflow?sslpassword=x")
    'cannot reach postgresql://***@db/mlflow?sslpassword=***'
    >>> redacted("http://host:5000/a@b")
    'http://host:5000/a@b'
    """
    return _PARAMETER.sub(r"\1***", _USER.sub("://***@", text))
