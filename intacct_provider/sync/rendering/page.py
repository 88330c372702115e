"""A plan as an HTML page that anybody with a browser can open, read and print."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from intacct_provider.sync.plan import FieldChange, Plan, Step
from intacct_provider.sync.records import is_blank
from intacct_provider.sync.rendering.wording import (
    ACTIONS,
    changes_of,
    counted,
    moves_of,
    names_of,
    steps_of,
    text_of,
    visible,
)

if TYPE_CHECKING:
    from jinja2 import Template

#: Records of one action that are in view at once; the others are folded away until somebody wants them.
_OPEN = 50
#: Those that are unfolded together: a browser takes seconds for some ten thousand.
_FOLD = 500
#: Members of a list that are named without being asked for.
_MEMBERS = 8


def plan_page(plan: Plan) -> bytes:
    """Return a plan as one HTML file that needs nothing else: all records, all fields, deletions first.

    It runs no script and asks for nothing, and its policy lets a browser do neither. It follows the reader's choice
    of light or dark, and prints with everything unfolded. Equal plans give equal bytes.
    """
    template, style, policy = _parts()
    return template.render(
        plan=plan,
        style=style,
        policy=policy,
        sections=steps_of(plan),
        actions=ACTIONS,
        most=_OPEN,
        fold=_FOLD,
    ).encode()


@dataclass(frozen=True, slots=True)
class _Value:
    """What one cell shows of a value.

    :param text: all of a text, or of a short list.
    :param start: where the part that differs begins in the text, and ``end`` where it ends; equal when none does.
    :param members: the names in a list that is too long to be in view.
    """

    text: str
    start: int = 0
    end: int = 0
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    """One field of a record.

    :param added: names that a list gains, and ``dropped`` those that it loses.
    :param other: what else is different in a list.
    """

    path: str
    now: _Value
    planned: _Value
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    other: str = ""


def _lines(step: Step, match_on: str) -> Iterator[_Line]:
    """Yield what the page shows of each field of a step."""
    for change in changes_of(step, match_on):
        path, old, new = visible(change.path), change.old, change.new
        if _is_list(old) and _is_list(new):
            added, dropped, other = moves_of(old, new)
            yield _Line(path, _value(old), _value(new), _seen(added), _seen(dropped), other)
        elif is_blank(old) or is_blank(new):
            yield _Line(path, _value(old), _value(new))
        else:
            yield _Line(path, *_marked(change))


def _value(value: Any) -> _Value:
    if _is_list(value) and len(value) > _MEMBERS:
        return _Value("", members=_seen(names_of(value)))
    return _Value(visible(text_of(value), keep="\n"))


def _marked(change: FieldChange) -> tuple[_Value, _Value]:
    """Mark the part of two texts that differs, unless that is nearly all."""
    now, planned = (visible(text_of(value), keep="\n") for value in (change.old, change.new))
    start = _alike(now, planned)
    end = _alike(now[start:][::-1], planned[start:][::-1])
    if start + end < 4:
        return _Value(now), _Value(planned)
    return _Value(now, start, len(now) - end), _Value(planned, start, len(planned) - end)


def _alike(one: str, other: str) -> int:
    """Return how many characters two texts begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0


def _seen(names: list[str]) -> tuple[str, ...]:
    return tuple(visible(name) for name in names)


@cache
def _parts() -> tuple[Template, str, str]:
    """Return the template, its stylesheet, and the policy that allows this stylesheet and nothing else."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("intacct_provider.sync.rendering", "pages"),
        autoescape=True,  # what a record holds is anybody's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"lines": _lines, "visible": visible, "counted": counted, "number": "{:,}".format}
    style = (files("intacct_provider.sync.rendering") / "pages" / "plan.css").read_text(encoding="utf-8")
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return environment.get_template("plan.html"), style, policy
