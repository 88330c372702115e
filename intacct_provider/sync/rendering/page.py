"""A plan as an HTML page that any browser can open and print."""

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
    SHOWN_ACTIONS,
    compare_lists,
    count_noun,
    format_names,
    format_value,
    group_steps,
    make_visible,
    select_changes,
)

if TYPE_CHECKING:
    from jinja2 import Environment

#: Records of one action that are shown at first; the others are folded.
_OPEN = 50
#: Records in one fold; a browser takes seconds for ten thousand.
_FOLD = 500
#: Members of a list that are shown unfolded.
_MEMBERS = 8


def render_page(plan: Plan, *, made: str = "") -> bytes:
    """Return a plan as one self-contained HTML file: all records, all fields, deletions first.

    It has no scripts and loads nothing, and its content security policy forbids both. It follows the reader's choice of
    light or dark, and prints with everything unfolded. Equal arguments give equal bytes.

    :param made: when the plan was made and by which try, which the plan itself does not say.
    """
    return _render(
        "plan.html",
        plan=plan,
        made=made,
        sections=group_steps(plan),
        actions=SHOWN_ACTIONS,
        most=_OPEN,
        fold=_FOLD,
    )


def render_notice(reason: str, login: str = "") -> bytes:
    """Return a page in the place of one that is not shown.

    :param reason: why not.
    :param login: address of the login, if that may help.
    """
    return _render("notice.html", reason=make_visible(reason), login=login)


def page_policy() -> str:
    """Return the content security policy of the pages, which allows their stylesheet and nothing else."""
    return _load_style()[1]


def _render(template: str, **variables: Any) -> bytes:
    style, policy = _load_style()
    return _load_templates().get_template(template).render(style=style, policy=policy, **variables).encode()


@dataclass(frozen=True, slots=True)
class _Value:
    """A value in a cell.

    :param text: the complete text, also of a short list.
    :param start: where the part that differs begins in the text.
    :param end: where it ends; equal to ``start`` if nothing is marked.
    :param members: the names in a long list, which are folded.
    """

    text: str
    start: int = 0
    end: int = 0
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    """One field of a record.

    :param added: names that a list gains.
    :param dropped: names that a list loses.
    :param other: how else a list differs.
    """

    path: str
    now: _Value
    planned: _Value
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    other: str = ""


def _describe_lines(step: Step, match_on: str) -> Iterator[_Line]:
    """Yield a line for each field of a step."""
    for change in select_changes(step, match_on):
        path, old, new = make_visible(change.path), change.old, change.new
        if _is_list(old) and _is_list(new):
            added, dropped, other = compare_lists(old, new)
            yield _Line(
                path,
                _describe_value(old),
                _describe_value(new),
                _make_all_visible(added),
                _make_all_visible(dropped),
                other,
            )
        elif is_blank(old) or is_blank(new):
            yield _Line(path, _describe_value(old), _describe_value(new))
        else:
            yield _Line(path, *_mark_difference(change))


def _describe_value(value: Any) -> _Value:
    if _is_list(value) and len(value) > _MEMBERS:
        return _Value("", members=_make_all_visible(format_names(value)))
    return _Value(make_visible(format_value(value), keep="\n"))


def _mark_difference(change: FieldChange) -> tuple[_Value, _Value]:
    """Return two texts with the part marked that differs, unless nearly all does."""
    now, planned = (make_visible(format_value(value), keep="\n") for value in (change.old, change.new))
    start = _count_alike(now, planned)
    end = _count_alike(now[start:][::-1], planned[start:][::-1])
    if start + end < 4:
        return _Value(now), _Value(planned)
    return _Value(now, start, len(now) - end), _Value(planned, start, len(planned) - end)


def _count_alike(one: str, other: str) -> int:
    """Return how many characters two texts share at their start."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0


def _make_all_visible(names: list[str]) -> tuple[str, ...]:
    return tuple(make_visible(name) for name in names)


@cache
def _load_style() -> tuple[str, str]:
    """Return the stylesheet, and the content security policy that allows only this stylesheet."""
    style = (files("intacct_provider.sync.rendering") / "pages" / "plan.css").read_text(encoding="utf-8")
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return style, f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@cache
def _load_templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("intacct_provider.sync.rendering", "pages"),
        autoescape=True,  # the values of records are not trusted
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "lines": _describe_lines,
        "visible": make_visible,
        "count_noun": count_noun,
        "number": "{:,}".format,
    }
    return environment
