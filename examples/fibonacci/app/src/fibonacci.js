// The numbers: 1, 1, 2, 3, 5, … counted from index 0.

/** The largest index that is computed: its number has 209 digits. */
export const MAX_INDEX = 1000;

/** The Fibonacci number at an index, as a BigInt. */
export function fibonacci(index) {
  let [current, next] = [1n, 1n];
  for (let step = 0; step < index; step += 1) [current, next] = [next, current + next];
  return current;
}
