"""Scope and protection, of which an undo asks only what the plan did not decide itself."""

import re
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from intacct_provider.client.query.filters import check_filters
from intacct_provider.sync.selection import Selection


def test_a_selection_knows_which_conditions_a_change_may_decide():
    chosen = Selection(({"$eq": {"term.id": "N30"}}, {"$eq": {"status": "active"}}))
    assert chosen.find_concerned(["name", "term.key"]) == {0}
    assert chosen.find_concerned(["status", "term"]) == {0, 1}
    assert not chosen.find_concerned(["name", "terms"])


@given(data=st.data(), met=st.booleans())
def test_a_selection_without_conditions_that_are_known(data, met):
    """What the others decide alone is asked, and nothing else."""
    count = data.draw(st.integers(1, 5))
    numbers = st.recursive(
        st.integers(1, count).map(str),
        lambda inner: st.builds(
            lambda word, parts: f"({f' {word} '.join(parts)})",
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=2, max_size=3),
        ),
        max_leaves=6,
    )
    everything = f"({' and '.join(map(str, range(1, count + 1)))})"
    text = data.draw(st.sampled_from(["and", "or"]) | numbers.map(lambda some: f"{some} or {everything}"))
    known = data.draw(st.sets(st.integers(0, count - 1)))
    chosen = Selection(tuple({"$eq": {f"f{n}": "x"}} for n in range(count)), text)
    others = chosen.without(known, met=met)

    def select(selection, record):
        truths = [record[next(iter(one["$eq"]))] for one in selection.conditions]
        if selection.expression in ("and", "or"):
            return all(truths) if selection.expression == "and" else any(truths)
        return eval(re.sub(r"\d+", lambda found: str(truths[int(found[0]) - 1]), selection.expression))  # noqa: S307

    for values in product([False, True], repeat=count):
        record = {f"f{n}": met if n in known else value for n, value in enumerate(values)}
        assert select(chosen, record) == (met if others is None else select(others, record))
    if others is not None:
        check_filters(list(others.conditions), others.expression)
