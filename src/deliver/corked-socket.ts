import type { Socket } from 'node:net';

/** Above this a body is not worth copying, and what is corked is gathered by node. */
const MOST_COPIED_BYTES = 16 * 1024;

/**
 * Makes a socket send what is written between `cork` and `uncork`, a request's
 * head and its body, as one buffer in one call: node's own gathered write costs
 * four objects and a detour through the stream's queue for every request, and over
 * TLS it makes two records of it.
 */
export function mergeCorkedWrites(socket: Socket): void {
  const write = socket.write.bind(socket) as (chunk: Buffer | string, encoding?: BufferEncoding) => boolean;
  let corked = 0;
  let head = '';
  let parts = 0;
  let body: Buffer | null = null;
  const flush = (): void => {
    if (parts === 0) return;
    const text = head;
    const rest = body;
    head = '';
    body = null;
    parts = 0;
    if (rest === null) {
      write(text, 'latin1');
      return;
    }
    if (rest.length > MOST_COPIED_BYTES) {
      write(text, 'latin1');
      write(rest);
      return;
    }
    const merged = Buffer.allocUnsafe(text.length + rest.length);
    merged.write(text, 0, 'latin1');
    merged.set(rest, text.length);
    write(merged);
  };
  socket.cork = () => {
    corked++;
  };
  socket.uncork = () => {
    corked--;
    if (corked === 0) flush();
  };
  socket.write = ((chunk: Buffer | string, encoding?: BufferEncoding, callback?: () => void): boolean => {
    if (corked > 0 && callback === undefined) {
      if (parts === 0 && typeof chunk === 'string' && encoding === 'latin1') {
        head = chunk;
        parts = 1;
        return true;
      }
      if (parts === 1 && typeof chunk !== 'string') {
        body = chunk;
        parts = 2;
        return true;
      }
    }
    flush();
    return (write as (...args: unknown[]) => boolean)(chunk, encoding, callback);
  }) as Socket['write'];
}
