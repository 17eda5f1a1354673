// The API: keeps the indices that were asked for in Postgres, announces them on Redis, and reads the worker's results there.
import express from 'express';
import { MAX_INDEX } from './fibonacci.js';
import { endGracefully, health, log } from './service.js';
import { connectPostgres, connectRedis, within } from './stores.js';

const postgres = connectPostgres(log);
const redis = connectRedis(log);

let prepared;
/** Creates the table once per process; a failure is forgotten, so that the next request tries again. */
function prepare() {
  prepared ??= postgres
    .query('CREATE TABLE IF NOT EXISTS indices (index integer PRIMARY KEY, asked_at timestamptz NOT NULL DEFAULT now())')
    .catch((error) => {
      prepared = undefined;
      // Two processes that create it at the same moment: the other one won.
      if (error.code !== '23505' && error.code !== '42P07') throw error;
    });
  return prepared;
}

const { healthz, readyz, state } = health({ postgres: () => postgres.query('SELECT 1'), redis: () => redis.ping() });

const app = express();
app.disable('x-powered-by');
app.get('/healthz', healthz);
app.get('/readyz', readyz);

const api = express.Router();
api.use(express.json({ limit: '1kb' }));

/** The index a client means, or null when it means none. */
function readIndex(value) {
  const number = typeof value === 'string' && /^\d{1,6}$/.test(value) ? Number(value) : value;
  return Number.isInteger(number) && number >= 0 && number <= MAX_INDEX ? number : null;
}

const refusal = { error: `index has to be a whole number from 0 to ${MAX_INDEX}` };

api.get('/values', async (_request, response) => {
  await prepare();
  const { rows } = await postgres.query('SELECT index FROM indices ORDER BY asked_at DESC, index LIMIT 100');
  const indices = rows.map((row) => row.index);
  const results = indices.length ? await within(3000, redis.hmGet('values', indices.map(String))) : [];
  const missing = indices.filter((_index, position) => results[position] == null);
  // Announcements are lost while no worker listens, and results when Redis loses its data: ask again for what is missing.
  await Promise.all(missing.map((index) => redis.publish('indices', String(index))));
  response.json({ values: indices.map((index, position) => ({ index, value: results[position] ?? null })) });
});

api.get('/values/:index', async (request, response) => {
  const index = readIndex(request.params.index);
  if (index === null) return response.status(400).json(refusal);
  await prepare();
  const { rowCount } = await postgres.query('SELECT 1 FROM indices WHERE index = $1', [index]);
  if (!rowCount) return response.status(404).json({ error: `nobody has asked for index ${index} yet` });
  const value = await within(3000, redis.hGet('values', String(index)));
  if (value == null) await redis.publish('indices', String(index));
  return response.json({ index, value: value ?? null });
});

api.post('/values', async (request, response) => {
  const index = readIndex(request.body?.index);
  if (index === null) return response.status(400).json(refusal);
  await prepare();
  await postgres.query('INSERT INTO indices (index) VALUES ($1) ON CONFLICT (index) DO UPDATE SET asked_at = now()', [index]);
  await within(3000, redis.publish('indices', String(index)));
  return response.status(202).json({ index });
});

api.all(['/values', '/values/:index'], (_request, response) => response.status(405).json({ error: 'this method is not allowed here' }));
app.use('/api', api);
app.use((_request, response) => response.status(404).json({ error: 'there is nothing here' }));

// Four arguments make it Express's error handler.
app.use((error, request, response, _next) => {
  const status = error.status >= 400 && error.status < 500 ? error.status : 503;
  if (status === 503) log(`${request.method} ${request.path}: ${error.message || error.code}`);
  if (response.headersSent) return response.destroy();
  const message = status === 503 ? 'a store is away; try again in a moment' : error.type === 'entity.parse.failed' ? 'the body is not valid JSON' : error.message;
  return response.status(status).json({ error: message });
});

const server = app.listen(Number(process.env.PORT || 5000), (error) => {
  if (error) throw error;
  log(`the API listens on port ${server.address().port}`);
});
endGracefully(server, state, async () => {
  await postgres.end();
  redis.destroy();
});
