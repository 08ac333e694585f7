"""SECURITY.md names tests that exist, and the licence of each run-time dependency."""

import re
from importlib.metadata import PackageNotFoundError, metadata

from tests.support.server import ROOT

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
COMPATIBLE = {
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "LGPL-3.0-only", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0",
}  # fmt: skip


def test_named_tests_exist():
    named = re.findall(r"`(tests/[\w/]+(?:\.py)?/?)`", PAGE)
    assert [path for path in named if not (ROOT / path).exists()] == []
    assert len(named) > 10


def test_every_run_time_dependency_has_a_compatible_licence():
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \|$", PAGE.partition("| licence | packages |")[2], re.MULTILINE
    )
    listed = {name: licence for licence, names in rows for name in names.split(", ")}
    licences = {found for licence in listed.values() for found in re.split(r" AND | OR |[()]", licence)}
    assert licences - {""} <= COMPATIBLE
    lock = (ROOT / "requirements-otel.lock").read_text(encoding="utf-8")
    assert listed.keys() == {*re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    for name, licence in listed.items():
        try:
            declared = metadata(name).get("License-Expression")
        except PackageNotFoundError:  # for another Python or another system
            continue
        assert declared in (None, licence), name
