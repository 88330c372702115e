"""Whether a value that was read back from a table is the one that Intacct sent."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from intacct_provider.export.schema.columns import Column
from intacct_provider.export.schema.values import read_moment, read_number, to_json, to_text

#: A number that is the same text again, but for zeros at its end.
_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?", re.ASCII)
_TRUTHS = {"true": True, "false": False}


def is_kept(column: Column, sent: Any, kept: Any) -> bool:
    """Whether a table keeps a value: the same number, moment, truth or JSON, or the same text.

    :param kept: as the database's driver returns it.
    """
    if sent == "" and column.type != "string" and not column.nested:
        sent = None
    if sent is None or kept is None:
        return sent is kept
    if isinstance(kept, bytes | bytearray | memoryview):
        kept = bytes(kept).decode(errors="replace")
    try:
        return _same_kind(column)(sent, kept)
    except (ValueError, ArithmeticError, TypeError):
        return False


def _same_kind(column: Column) -> Callable[[Any, Any], bool]:
    if column.nested:
        return _same_json
    return {
        "boolean": _same_truth, "integer": _same_number, "decimal": _same_number, "date": _same_date,
        "timestamp": _same_moment,
    }.get(column.type, _same_text)  # fmt: skip


def _same_text(sent: Any, kept: Any) -> bool:
    if isinstance(kept, dt.datetime):
        return _same_moment(sent, kept)
    if isinstance(kept, bool):
        return _same_truth(sent, kept)
    text = to_text(sent) or ""
    if isinstance(kept, int | float | Decimal):
        return bool(_PLAIN_NUMBER.fullmatch(text)) and Decimal(text) == Decimal(str(kept))
    return text == str(kept)


def _same_number(sent: Any, kept: Any) -> bool:
    return not isinstance(kept, bool) and read_number(sent) == Decimal(str(kept))


def _same_truth(sent: Any, kept: Any) -> bool:
    truth = _TRUTHS.get(sent, sent) if isinstance(sent, str) else sent
    return isinstance(truth, bool) and _TRUTHS.get(kept, kept) in (truth, int(truth))


def _same_date(sent: Any, kept: Any) -> bool:
    if isinstance(kept, dt.datetime):
        return _same_moment(f"{sent}T00:00:00", kept)
    return bool(sent == (kept.isoformat() if isinstance(kept, dt.date) else kept))


def _same_moment(sent: Any, kept: Any) -> bool:
    if isinstance(kept, str):
        return read_moment(sent) == read_moment(kept)
    if not isinstance(kept, dt.datetime):
        return False
    return read_moment(sent) == (kept.replace(tzinfo=dt.UTC) if kept.tzinfo is None else kept)


def _same_json(sent: Any, kept: Any) -> bool:
    if not isinstance(kept, str):
        return False
    return bool(_parse(to_json(sent) or "") == _parse(kept))


def _parse(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)
