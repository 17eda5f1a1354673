// The worker: hears on Redis which index is asked for, computes its number, and stores it in Redis.
import { createServer } from 'node:http';
import { fibonacci, MAX_INDEX } from './fibonacci.js';
import { endGracefully, health, log, respond } from './service.js';
import { connectRedis } from './stores.js';

const redis = connectRedis(log);
// A connection that listens can do nothing else; it subscribes again by itself when it comes back.
const listener = connectRedis(log);

let busy = Promise.resolve();
async function compute(message) {
  const index = Number(message);
  if (!Number.isInteger(index) || index < 0 || index > MAX_INDEX) return;
  try {
    await redis.hSet('values', String(index), String(fibonacci(index)));
  } catch (error) {
    log(`index ${index}: ${error.message || error.code}; the API will ask again`);
  }
}

listener.once('ready', () => {
  listener.subscribe('indices', (message) => {
    busy = busy.then(() => compute(message));
  });
});

const { healthz, readyz, state } = health({ redis: () => redis.ping() });
const server = createServer((request, response) => {
  if (request.url === '/healthz') return healthz(request, response);
  if (request.url === '/readyz') return readyz(request, response);
  return respond(response, 404, { error: 'there is nothing here' });
});
server.listen(Number(process.env.PORT || 5001), () => log(`the worker answers for its health on port ${server.address().port}`));
endGracefully(server, state, async () => {
  listener.destroy();
  await busy;
  redis.destroy();
});
