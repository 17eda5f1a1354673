import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fibonacci, MAX_INDEX } from '../src/fibonacci.js';

test('starts 1, 1, 2, 3, 5', () => {
  assert.deepEqual([0, 1, 2, 3, 4].map(fibonacci), [1n, 1n, 2n, 3n, 5n]);
});

test('is exact where floating point is not', () => {
  assert.equal(fibonacci(20), 10946n);
  assert.equal(String(fibonacci(MAX_INDEX)).length, 209);
  assert.equal(fibonacci(100) - fibonacci(99), fibonacci(98));
});
