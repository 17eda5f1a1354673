"""Visitors, so many a second, whatever the answers are like: what is lost while something changes."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit


class Load:
    """Asks a URL at a steady rate until it is stopped, or a bound is reached. A request begins when its time has come, each on a connection of
    its own, and is never repeated."""

    def __init__(self, url: str, rate: int = 100, most: int = 20_000, timeout: float = 15) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        self._host, self._port, self._path = parts.hostname, parts.port or 80, parts.path or "/"
        self._rate, self._most, self._timeout = rate, most, timeout
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()
        self.longest = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_problem: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ask no more, and wait for the last answers."""
        self._stopped.set()
        self._thread.join(timeout=self._timeout + 10)

    @property
    def lost(self) -> dict[str, int]:
        """What was not answered with success, and how often."""
        return {what: count for what, count in self.answers.items() if what != "200"}

    @property
    def asked(self) -> int:
        """How many requests ended."""
        return sum(self.answers.values())

    def _run(self) -> None:
        begin = time.monotonic()
        with ThreadPoolExecutor(max_workers=200) as pool:
            for number in range(self._most):
                if self._stopped.wait(max(0.0, begin + number / self._rate - time.monotonic())):
                    return
                pool.submit(self._ask)

    def _ask(self) -> None:
        begin = time.monotonic()
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            connection.request("GET", self._path, headers={"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read(200)
            said = str(answer.status)
            if answer.status >= 500:
                # Who it was that gave up, and when: the app, its front door, the edge or the load balancer.
                took = time.monotonic() - begin
                said = f"{said} by {answer.headers.get('Server')} via {answer.headers.get('Via')} after {took:.1f} s: {body!r}"
        except OSError as error:
            said = type(error).__name__
        except http.client.HTTPException as error:
            said = type(error).__name__
        finally:
            connection.close()
        with self._lock:
            self.answers[said] += 1
            self.longest = max(self.longest, time.monotonic() - begin)
