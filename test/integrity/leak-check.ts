import { afterAll } from 'vitest';
import { openAfter, watchThreads } from './open-resources.ts';

/** Setup file of the unit tests: a file that leaves a socket, a timer, a child or a thread open fails. */
watchThreads();

afterAll(async () => {
  const open = await openAfter(2_000);
  if (open.length > 0) throw new Error(`left open by this test file: ${open.join(', ')}`);
});
