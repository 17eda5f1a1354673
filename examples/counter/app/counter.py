"""Counts visits to a path: GET / answers {"visits": n}."""

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import redis

# Retried, so that a failover of the store costs a moment and no error.
retry = redis.retry.Retry(redis.backoff.ExponentialBackoff(cap=2, base=0.1), 8)
store = redis.Redis.from_url(
    os.environ["REDIS_URL"],
    socket_timeout=3,
    socket_connect_timeout=3,
    retry=retry,
    retry_on_error=[redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, redis.exceptions.ReadOnlyError],
)


class Counter(BaseHTTPRequestHandler):
    """Answers requests."""

    def do_GET(self):
        if self.path == "/healthz":
            return self.answer(200, {"status": "ok"})
        if self.path != "/":
            return self.answer(404, {"error": "there is only /"})
        try:
            return self.answer(200, {"visits": store.incr("visits")})
        except redis.exceptions.RedisError as error:
            return self.answer(503, {"error": f"the store is away: {type(error).__name__}"})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


server = ThreadingHTTPServer(("", 8000), Counter)
# From another thread, since shutdown waits for the loop that a signal interrupts.
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print("counter listens on 8000", flush=True)
server.serve_forever()
