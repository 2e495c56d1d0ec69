"""What the tests of symbols share: counting of automatic names starts anew in each."""

import pytest

from cymx.name import NameManager


@pytest.fixture(autouse=True)
def fresh_names():
    with NameManager():
        yield
