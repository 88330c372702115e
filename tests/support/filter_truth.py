"""Filters beside what they mean in plain Python, where a null is neither true nor false, as in SQL."""

from hypothesis import strategies as st

from intacct_provider.client.query.expressions import field


class Tree:
    """An expression of ``field(...)`` and the same as a function of a row: True, False or None for unknown."""

    def __init__(self, expression, holds):
        self.expression = expression
        self.holds = holds

    @classmethod
    def null(cls, name):
        """Whether a field is null, which is never unknown."""
        return cls(field(name).is_null(), lambda row: row[name] is None)

    @classmethod
    def both(cls, left, right):
        """Join by ``and``."""
        return cls(left.expression & right.expression, lambda row: both(left.holds(row), right.holds(row)))

    @classmethod
    def either(cls, left, right):
        """Join by ``or``."""
        return cls(
            left.expression | right.expression,
            lambda row: opposite(both(opposite(left.holds(row)), opposite(right.holds(row)))),
        )

    @classmethod
    def negated(cls, tree):
        """Negate."""
        return cls(~tree.expression, lambda row: opposite(tree.holds(row)))


def both(left, right):
    """SQL's ``and``."""
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def opposite(truth):
    """SQL's ``not``."""
    return None if truth is None else not truth


def trees(leaves, max_leaves):
    """Return any way to join and negate these leaves."""
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(Tree.both, inner, inner), st.builds(Tree.either, inner, inner), inner.map(Tree.negated)
        ),
        max_leaves=max_leaves,
    )
