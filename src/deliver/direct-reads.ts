import { Socket, type OnReadOpts } from 'node:net';

/** As much as one read takes, for all sockets of a thread: what was read is copied out before the next one reads. */
const READ_BYTES = 64 * 1024;

const arrived = Symbol('arrived');

interface ReadableSocket extends Socket {
  /** What was read last, until somebody takes it. */
  [arrived]?: Buffer | null;
}

/**
 * Options of `net.connect` and `tls.connect` for a socket whose answers are short: node would
 * allocate 64 KiB for each read and shrink it afterwards, and pass it through the stream's
 * queue; so it is read into one buffer of the thread, and only what came is kept.
 * `takeDirectReads` has to follow before anybody reads.
 */
export const directReads: { readonly onread: OnReadOpts } = {
  onread: {
    buffer: Buffer.allocUnsafeSlow(READ_BYTES),
    callback(this: Socket, bytes: number, buffer: Uint8Array): boolean {
      receive(this, buffer, bytes);
      return true;
    },
  },
};

/** Lets the reader of a socket made with `directReads` take what came without a detour; it reads when it hears `readable`. */
export function takeDirectReads(socket: Socket): void {
  socket.read = readDirect;
}

function receive(socket: ReadableSocket, buffer: Uint8Array, bytes: number): void {
  const chunk = Buffer.allocUnsafe(bytes);
  chunk.set(bytes === buffer.length ? buffer : buffer.subarray(0, bytes));
  // What the stream still holds goes first.
  if (socket.readableLength > 0) {
    socket.push(chunk);
    return;
  }
  socket[arrived] = chunk;
  socket.emit('readable');
  const left = take(socket);
  if (left !== null && !socket.destroyed) socket.push(left);
}

function take(socket: ReadableSocket): Buffer | null {
  const chunk = socket[arrived] ?? null;
  socket[arrived] = null;
  return chunk;
}

function readDirect(this: ReadableSocket, bytes?: number): Buffer | null {
  if (bytes === undefined) {
    const chunk = take(this);
    if (chunk !== null) return chunk;
    if (this.readableLength === 0) return null;
  }
  return Socket.prototype.read.call(this, bytes) as Buffer | null;
}
