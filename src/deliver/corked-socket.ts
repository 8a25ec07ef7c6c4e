import type { Socket } from 'node:net';

/** Above this a body is not worth copying, and what is corked is gathered by node. */
const MOST_COPIED_BYTES = 16 * 1024;
const SCRATCH_BYTES = 32 * 1024;

/**
 * Where head and body are put together, for all sockets of the thread: what the kernel takes at once is not looked at
 * again. A buffer for each request instead cost an eighth of all of a delivery, most of it in the garbage collector.
 */
let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

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
  /** Whether the kernel took the last request as it was written: not over TLS, nor when the receiver reads slowly. */
  let tookAtOnce = true;
  const send = (text: string, rest: Buffer): void => {
    const bytes = text.length + rest.length;
    const isShared = tookAtOnce && bytes <= scratch.length;
    const merged = isShared ? scratch.subarray(0, bytes) : Buffer.allocUnsafe(bytes);
    merged.write(text, 0, 'latin1');
    merged.set(rest, text.length);
    write(merged);
    tookAtOnce = socket.writableLength === 0;
    // The socket holds on to it until it has been sent.
    if (isShared && !tookAtOnce) scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  };
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
    send(text, rest);
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
