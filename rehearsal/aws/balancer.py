"""Load balancers: a loopback address each, which passes connections on to whatever serves behind it at the moment."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Sequence

Target = tuple[str, int]
_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
# Loopback addresses of Linux; where others cannot be bound, ports of 127.0.0.1.
_ADDRESSES = [f"127.88.{third}.{fourth}" for third in range(4) for fourth in range(1, 251)]
_PORTS = range(8090, 8190)
_loop: asyncio.AbstractEventLoop | None = None
_lock = threading.Lock()


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, daemon=True).start()
        return _loop


class Balancer:
    """One load balancer. ``address`` is ``127.88.0.1``, or ``127.0.0.1:8090`` where port 80 is not to be had."""

    def __init__(self) -> None:
        self.targets: Sequence[Target] = ()
        self._turn = itertools.count()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), _running_loop()).result(timeout=10)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.address = host if port == 80 else f"{host}:{port}"

    async def _listen(self) -> asyncio.Server:
        for host, port in [*((address, 80) for address in _ADDRESSES), *(("127.0.0.1", port) for port in _PORTS)]:
            try:
                return await asyncio.start_server(self._serve, host, port)
            except PermissionError:
                if port == 80:
                    continue
                raise
            except OSError:
                continue
        raise OSError("no loopback address is free for a load balancer")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        targets = list(self.targets)
        start = next(self._turn)
        for index in range(len(targets)):
            host, port = targets[(start + index) % len(targets)]
            try:
                behind = await asyncio.wait_for(asyncio.open_connection(host, port), timeout=3)
            except (OSError, TimeoutError):
                continue
            await asyncio.gather(_pump(reader, behind[1]), _pump(behind[0], writer))
            return
        with contextlib.suppress(OSError):
            writer.write(_UNAVAILABLE)
            await writer.drain()
            writer.close()

    def close(self) -> None:
        """Stop listening."""
        _running_loop().call_soon_threadsafe(self._server.close)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()
