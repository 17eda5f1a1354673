// What the API and the worker have in common: a log, health endpoints, and an end that loses no request.
import { within } from './stores.js';

/** Writes one line to standard output, with the time. */
export const log = (message) => console.log(`${new Date().toISOString()} ${message}`);

/**
 * Handlers for /healthz (the process answers) and /readyz (its dependencies do).
 * `checks` maps a name to a function that returns a promise; readiness fails with 503 and says which, and while the service drains.
 */
export function health(checks) {
  const state = { draining: false };
  const healthz = (_request, response) => respond(response, 200, { status: 'ok' });
  const readyz = async (_request, response) => {
    const entries = await Promise.all(
      Object.entries(checks).map(async ([name, check]) => {
        try {
          await within(2000, check());
          return [name, 'ok'];
        } catch (error) {
          return [name, error.message || error.code || 'failed'];
        }
      }),
    );
    const ready = !state.draining && entries.every(([, result]) => result === 'ok');
    respond(response, ready ? 200 : 503, { status: state.draining ? 'draining' : ready ? 'ok' : 'unavailable', ...Object.fromEntries(entries) });
  };
  return { healthz, readyz, state };
}

/** Answer with JSON, through Node's own response, so that it serves Express and plain servers alike. */
export function respond(response, status, body) {
  response.statusCode = status;
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(body));
}

/** On SIGTERM or SIGINT: take no new requests, finish those in flight, close the stores, and end. */
export function endGracefully(server, state, close) {
  const end = async (signal) => {
    if (state.draining) return;
    state.draining = true;
    log(`${signal}: finishing the requests in flight`);
    // Compose and Beanstalk kill after 30 seconds: say so in the log rather than vanish.
    setTimeout(() => {
      log('giving up on requests that take too long');
      process.exit(1);
    }, 25_000).unref();
    server.close(async () => {
      await close();
      log('ended');
      process.exit(0);
    });
    server.closeIdleConnections();
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}
