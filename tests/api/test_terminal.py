"""The server at a terminal: its log is readable, and Ctrl-C ends it."""

import re
from pathlib import Path

from tests.support.command_line import Terminal
from tests.support.contract_checks import open_client
from tests.support.server import find_free_port
from tests.support.users import SECRET, new_user


def test_request_is_one_readable_line_in_colour_unless_no_color_is_set_and_ctrl_c_returns_130(tmp_path: Path):
    for no_color, status in (("", "\033[33m404\033[0m"), ("1", "404")):
        port = str(find_free_port())
        settings = {"PORT": port, "NO_COLOR": no_color, "BETTER_AUTH_SECRET": SECRET}
        with Terminal(tmp_path, "serve", **settings) as terminal:
            terminal.wait_for("Uvicorn running")
            with open_client(f"http://127.0.0.1:{port}") as http:
                ada = new_user(http)
                request_id = ada.get("/7").headers["x-request-id"]
            terminal.wait_for(f"{request_id} not-found\r\n")
            terminal.type("\x03")
            assert terminal.end() == 130
        assert "Traceback" not in terminal.shown
        [line] = [line for line in terminal.shown.splitlines() if request_id in line]
        expected = rf"\d\d:\d\d:\d\d {re.escape(status)} GET +tasks\.get +[0-9.]+ ms  {ada.id}  {request_id}"
        assert re.fullmatch(f"{expected} not-found", line)
