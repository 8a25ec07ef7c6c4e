/** Proves that what is corked leaves as one write, and that whatever a sender writes arrives byte for byte, in order. */
import { createServer, Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergeCorkedWrites } from '../../src/deliver/corked-socket.ts';

/** A socket whose writes are noted instead of sent. */
function notedSocket(): { socket: Socket; writes: Buffer[] } {
  const socket = new Socket();
  const writes: Buffer[] = [];
  socket.write = (chunk: Uint8Array | string, encoding?: unknown): boolean => {
    writes.push(
      typeof chunk === 'string' ? Buffer.from(chunk, encoding as BufferEncoding) : Buffer.from(chunk),
    );
    return true;
  };
  mergeCorkedWrites(socket);
  return { socket, writes };
}

describe('a corked socket', () => {
  test('sends the head and the body of a request in one write', () => {
    const { socket, writes } = notedSocket();
    socket.cork();
    socket.write('POST / HTTP/1.1\r\nx: \xe9\r\n\r\n', 'latin1');
    socket.write(Buffer.from('body'));
    expect(writes).toEqual([]);
    socket.uncork();
    expect(writes.map((write) => write.toString('latin1'))).toEqual([
      'POST / HTTP/1.1\r\nx: \xe9\r\n\r\nbody',
    ]);
  });

  test('does not copy a large body', () => {
    const { socket, writes } = notedSocket();
    socket.cork();
    socket.write('head', 'latin1');
    socket.write(Buffer.alloc(1_000_000));
    socket.uncork();
    expect(writes.map((write) => write.length)).toEqual([4, 1_000_000]);
  });

  const written = fc.oneof(
    fc.record({ kind: fc.constant('text' as const), text: fc.string({ unit: 'binary-ascii' }) }),
    fc.record({ kind: fc.constant('bytes' as const), bytes: fc.uint8Array({ maxLength: 40_000 }) }),
    fc.record({ kind: fc.constant('cork' as const) }),
    fc.record({ kind: fc.constant('uncork' as const) }),
  );

  test('whatever is written, corked or not, arrives in order', () => {
    fc.assert(
      fc.property(fc.array(written, { maxLength: 20 }), (steps) => {
        const { socket, writes } = notedSocket();
        const expected: Buffer[] = [];
        let corks = 0;
        for (const step of steps) {
          if (step.kind === 'cork') {
            corks++;
            socket.cork();
          } else if (step.kind === 'uncork') {
            if (corks > 0) socket.uncork();
            corks = Math.max(0, corks - 1);
          } else {
            const bytes = step.kind === 'text' ? Buffer.from(step.text, 'latin1') : Buffer.from(step.bytes);
            expected.push(bytes);
            if (step.kind === 'text') socket.write(step.text, 'latin1');
            else socket.write(bytes);
          }
        }
        for (; corks > 0; corks--) socket.uncork();
        expect(Buffer.concat(writes).equals(Buffer.concat(expected))).toBe(true);
      }),
    );
  });

  test('over a real connection, and ends after what was corked', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const received = new Promise<string>((resolve) => {
      server.on('connection', (socket) => {
        let text = '';
        socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
        socket.on('end', () => {
          socket.end();
          resolve(text);
        });
      });
    });
    const address = server.address();
    const socket = new Socket().connect((address as { port: number }).port, '127.0.0.1');
    mergeCorkedWrites(socket);
    socket.cork();
    socket.write('head:', 'latin1');
    socket.write(Buffer.from('body'));
    socket.uncork();
    socket.end();
    expect(await received).toBe('head:body');
    await new Promise((resolve) => server.close(resolve));
  });
});
