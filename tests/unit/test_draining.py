"""Which requests are in flight, as the kernel's table of connections tells."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from berth.draining import peers

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def row(remote: str, state: str) -> str:
    return f"   0: 030012AC:A1B2 {remote} {state} 00000000:00000000 02:000006D8 00000000     0        0 12345 2\n"


def test_only_established_connections_count():
    table = HEAD + row("040012AC:0050", "01") + row("050012AC:0050", "06") + row("00000000:0000", "0A")
    assert peers(table) == {"172.18.0.4"}


def test_addresses_of_both_kinds_are_read():
    assert peers(HEAD + row("0000000000000000FFFF0000040012AC:0050", "01")) == {"172.18.0.4"}
    assert peers(HEAD + row("B80D0120000000000000000001000000:0050", "01")) == {"2001:db8::1"}


def test_an_empty_table_has_none():
    assert peers(HEAD) == set()
    assert peers("") == set()


@pytest.mark.skipif(not Path("/proc/self/net/tcp").is_file(), reason="no Linux, so no such table")
def test_a_connection_of_this_process_is_in_the_kernels_table():
    with socket.create_server(("127.0.0.3", 0)) as server, socket.create_connection(server.getsockname()):
        assert "127.0.0.3" in peers(Path("/proc/self/net/tcp").read_text())
