"""Keys in little memory, exactly."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.client.paging.key_intervals import Interval, pack_keys, unpack_keys

PROVE = settings(derandomize=True, deadline=None, max_examples=200)


@PROVE
@given(st.sets(st.integers(0, 2**63), min_size=1))
def test_packed_keys_are_kept_exactly(keys):
    assert unpack_keys(pack_keys(sorted(keys))) == sorted(keys)


def test_keys_that_follow_each_other_take_hardly_any_room():
    assert len(pack_keys(range(10**6, 10**6 + 4000))) < 250


@pytest.mark.parametrize(
    "keys", [[1, 2**64 + 2], [2**64], [10**40, 10**40 + 1, 10**40 + 2], [2**64 - 1, 2**64], [5, 10**100]]
)
def test_keys_of_any_size_are_kept(keys):
    packed = pack_keys(keys)
    assert unpack_keys(packed) == keys
    assert Interval(keys[0], keys[-1], len(keys), packed).unpack() == keys
