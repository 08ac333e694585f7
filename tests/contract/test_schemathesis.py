"""schemathesis attacks the running server with the contract, in a short form.

tests/ecosystem/test_schemathesis.py runs it at full length on both databases, and plants leaks.
"""

from pathlib import Path

from tests.contract import attack
from tests.support.server import run_server

MAX_EXAMPLES = 5  # for each operation and phase; the phase of boundary values runs in full


def test_server_withstands_a_short_attack(tmp_path: Path):
    with run_server(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/todo.db") as server:
        attacked = attack.run(server, tmp_path, "--max-examples", str(MAX_EXAMPLES))
    assert attacked.held, attacked.output
    assert attacked.bob_is_unharmed
    assert attack.find_gaps(attacked, least=2, linked=False) == []
