"""Tests of the promises. README.md says what is where."""

import pytest

# A failed assert in these modules shows its values, as in a test.
pytest.register_assert_rewrite("tests.support", "tests.faults.load")
