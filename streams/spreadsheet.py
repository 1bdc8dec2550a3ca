"""Text cells of a table that a spreadsheet opens: none is taken for a formula."""

from __future__ import annotations

# What begins a formula in Excel, LibreOffice or Google Sheets, in wide forms, too; a tab or a line break before it is
# left out by them.
_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def text_cell(text: str) -> str:
    """The text with ``'`` before it where a spreadsheet would compute it; numbers and ordinary names stay.

    The way that OWASP names ("CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection).

    >>> text_cell("=HYPERLINK(1)"), text_cell("Mitte"), text_cell("-5.5"), text_cell("a=b")
    ("'=HYPERLINK(1)", 'Mitte', '-5.5', 'a=b')
    """
    if not text.lstrip(" ").startswith(_BEGINS):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text
