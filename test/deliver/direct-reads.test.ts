/** Proves that a socket read directly gives its reader every byte in order, whoever reads when, and ends and breaks as any socket. */
import { createServer, connect, Socket, type Server } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { directReads, takeDirectReads } from '../../src/deliver/direct-reads.ts';

/** A socket as node makes it, whose arrivals are the test's. */
function socketToRead(): { socket: Socket; arrive(bytes: Buffer): void } {
  const socket = new Socket();
  takeDirectReads(socket);
  const { buffer, callback } = directReads.onread;
  return {
    socket,
    arrive(bytes) {
      const shared = buffer as Buffer;
      bytes.copy(shared);
      callback.call(socket, bytes.length, shared);
      // The next socket of the thread reads into the same memory.
      shared.fill(0, 0, bytes.length);
    },
  };
}

function drain(socket: Socket, into: Buffer[]): void {
  for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null)
    into.push(chunk);
}

describe('a socket that is read directly', () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 50 }) },
    { weight: 1, arbitrary: fc.constantFrom('listen' as const, 'ignore' as const, 'read' as const) },
  );

  test('over any arrivals, with a reader that comes, goes and looks by itself: all bytes, in order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const { socket, arrive } = socketToRead();
        const sent: Buffer[] = [];
        const read: Buffer[] = [];
        const reader = (): void => {
          drain(socket, read);
        };
        for (const one of steps) {
          if (one === 'listen') socket.on('readable', reader);
          else if (one === 'ignore') socket.off('readable', reader);
          else if (one === 'read') reader();
          else {
            const bytes = Buffer.from(one);
            sent.push(bytes);
            arrive(bytes);
          }
        }
        reader();
        expect(Buffer.concat(read).equals(Buffer.concat(sent))).toBe(true);
      }),
    );
  });

  test('keeps what it was given while others read', () => {
    const one = socketToRead();
    const other = socketToRead();
    const read: Buffer[] = [];
    one.socket.on('readable', () => {
      drain(one.socket, read);
    });
    one.arrive(Buffer.from('a header in two pa'));
    other.arrive(Buffer.from('something else altogether'));
    one.arrive(Buffer.from('rts'));
    expect(Buffer.concat(read).toString()).toBe('a header in two parts');
  });
});

describe('over a real connection', () => {
  let server: Server;
  let port = 0;

  beforeAll(async () => {
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (asked) => {
        const what = asked.toString();
        if (what === 'break') socket.resetAndDestroy();
        else if (what === 'end') socket.end('last');
        else socket.write(Buffer.alloc(Number(what), 'x'));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as { port: number }).port;
  });

  afterAll(() => new Promise((resolve) => server.close(resolve)));

  function open(): Socket {
    const socket = connect({ port, host: '127.0.0.1', ...directReads });
    takeDirectReads(socket);
    return socket;
  }

  test('reads more than fits into its buffer at once', async () => {
    const socket = open();
    let bytes = 0;
    socket.write('300000');
    await new Promise<void>((resolve) => {
      socket.on('readable', () => {
        for (let chunk = socket.read() as Buffer | null; chunk; chunk = socket.read() as Buffer | null)
          bytes += chunk.length;
        if (bytes >= 300_000) resolve();
      });
    });
    expect(bytes).toBe(300_000);
    socket.destroy();
  });

  test('says that the other side ended, after its last bytes', async () => {
    const socket = open();
    const read: Buffer[] = [];
    socket.on('readable', () => {
      drain(socket, read);
    });
    socket.write('end');
    await new Promise((resolve) => socket.once('end', resolve));
    expect(Buffer.concat(read).toString()).toBe('last');
  });

  test('says that the connection broke', async () => {
    const socket = open();
    socket.on('readable', () => {
      drain(socket, []);
    });
    socket.write('break');
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => socket.once('error', resolve));
    expect(error.code).toBe('ECONNRESET');
  });
});
