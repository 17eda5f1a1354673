// Connections to Postgres and Redis, as the environment names them. Both come back by themselves after a store restarts.
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { createClient } from 'redis';

const isOn = (value) => ['1', 'true', 'yes', 'on'].includes(String(value ?? '').toLowerCase());
const authority = (path) => (path ? readFileSync(path, 'utf8') : undefined);

/** TLS options for Postgres from PGSSLMODE and PGSSLROOTCERT, with libpq's meaning of each mode. */
export function postgresTls(env = process.env) {
  const ca = authority(env.PGSSLROOTCERT);
  switch (env.PGSSLMODE || 'disable') {
    case 'disable':
    case 'allow':
    case 'prefer':
      return false;
    case 'require':
      return { ca, rejectUnauthorized: Boolean(ca) };
    case 'verify-ca':
      return { ca, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case 'verify-full':
      return { ca, rejectUnauthorized: true };
    default:
      throw new Error(`PGSSLMODE: ${env.PGSSLMODE} is not one of disable, allow, prefer, require, verify-ca, verify-full`);
  }
}

/** A pool of connections to Postgres. A lost idle connection is logged, and replaced on the next query. */
export function connectPostgres(log, env = process.env) {
  const pool = new pg.Pool({ max: 10, connectionTimeoutMillis: 3000, query_timeout: 5000, ssl: postgresTls(env), keepAlive: true });
  pool.on('error', (error) => log(`postgres: ${error.message}; reconnecting`));
  return pool;
}

/** A Redis client, connecting and reconnecting in the background. Commands fail at once while it is away. */
export function connectRedis(log, env = process.env) {
  const tls = isOn(env.REDIS_TLS);
  const client = createClient({
    username: env.REDIS_USERNAME || undefined,
    password: env.REDIS_PASSWORD || undefined,
    disableOfflineQueue: true,
    pingInterval: 10_000,
    socket: {
      host: env.REDIS_HOST || '127.0.0.1',
      port: Number(env.REDIS_PORT || 6379),
      ...(tls ? { tls, ca: authority(env.REDIS_CA) } : {}),
      connectTimeout: 3000,
      reconnectStrategy: (attempt) => Math.min(100 * 2 ** attempt, 2000) + Math.random() * 100,
    },
  });
  client.on('error', (error) => log(`redis: ${error.message || error.code}; reconnecting`));
  client.on('ready', () => log('redis: connected'));
  client.connect().catch(() => {});
  return client;
}

/** The answer of a promise, or an error when it takes longer than `milliseconds`. */
export async function within(milliseconds, promise) {
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
