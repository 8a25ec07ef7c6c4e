/**
 * Proves that no socket is opened to an address the guard forbids, literal or
 * resolved, and that a name with several addresses is reached by any that answers.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  AddressBlockedError,
  guardedConnector,
  type Connector,
} from '../../src/deliver/guarded-connector.ts';

let server: Server;
let port = '';
let accepted = 0;

beforeAll(async () => {
  server = createServer((socket) => {
    accepted++;
    socket.on('error', () => undefined);
    socket.resume();
  });
  // On this loopback address only: the same port on 127.0.0.2 refuses.
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address === 'object' && address !== null) port = String(address.port);
});

afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
});

beforeEach(() => {
  accepted = 0;
});

interface Bench {
  readonly connector: Connector;
  readonly asked: string[];
  readonly judged: string[];
}

/** @param forbidden addresses that may not be reached. */
function bench(
  names: Readonly<Record<string, readonly string[] | Error>>,
  forbidden: readonly string[] = [],
): Bench {
  const asked: string[] = [];
  const judged: string[] = [];
  const connector = guardedConnector(
    {
      resolve: (name) => {
        asked.push(name);
        const answer = names[name] ?? new Error('ENOTFOUND');
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      },
    },
    (address) => {
      judged.push(address);
      return forbidden.includes(address) ? 'private address' : null;
    },
    { connectTimeoutMs: 2_000 },
  );
  return { connector, asked, judged };
}

/** Connects, closes again, and tells the address reached. */
async function reach(connector: Connector, hostname: string): Promise<string> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    connector({ hostname, host: `${hostname}:${port}`, protocol: 'http:', port }, (error, connected) => {
      if (error !== null) reject(error);
      else resolve(connected);
    });
  });
  const { remoteAddress = '' } = socket;
  await new Promise((resolve) => socket.once('close', resolve).destroy());
  return remoteAddress;
}

describe('a literal address', () => {
  test('is judged, not looked up, and reached when it may be', async () => {
    const { connector, asked, judged } = bench({});
    expect(await reach(connector, '127.0.0.1')).toBe('127.0.0.1');
    expect([asked, judged]).toEqual([[], ['127.0.0.1']]);
  });

  test.each([
    ['127.0.0.1', '127.0.0.1'],
    ['[::1]', '::1'],
    ['[::ffff:7f00:1]', '::ffff:7f00:1'],
  ])('%s is refused before any socket is opened', async (hostname, judgedAs) => {
    const { connector, judged } = bench({}, [judgedAs]);
    await expect(reach(connector, hostname)).rejects.toThrow(AddressBlockedError);
    expect(judged).toEqual([judgedAs]);
    expect(accepted).toBe(0);
  });
});

describe('a name', () => {
  test('is resolved and reached at the address that was judged', async () => {
    const { connector, asked, judged } = bench({ 'hooks.example': ['127.0.0.1'] });
    expect(await reach(connector, 'hooks.example')).toBe('127.0.0.1');
    expect([asked, judged]).toEqual([['hooks.example'], ['127.0.0.1']]);
  });

  test('is judged anew at every connection: what it resolves to may have changed', async () => {
    const names: Record<string, readonly string[]> = { 'rebinding.example': ['127.0.0.1'] };
    const { connector } = bench(names, ['169.254.169.254']);
    await reach(connector, 'rebinding.example');
    names['rebinding.example'] = ['169.254.169.254'];
    await expect(reach(connector, 'rebinding.example')).rejects.toMatchObject({
      code: 'EVENTDISPATCH_BLOCKED',
      message: '169.254.169.254 may not be reached: private address',
    });
  });

  test.each([
    ['first', ['10.0.0.1', '127.0.0.1']],
    ['last', ['127.0.0.1', '10.0.0.1']],
  ])('with one forbidden address, be it the %s, is not reached at all', async (_place, addresses) => {
    const { connector } = bench({ 'mixed.example': addresses }, ['10.0.0.1']);
    await expect(reach(connector, 'mixed.example')).rejects.toThrow(AddressBlockedError);
    expect(accepted).toBe(0);
  });

  test('whose first address refuses is reached at its next one', async () => {
    const { connector } = bench({ 'two.example': ['127.0.0.2', '127.0.0.1'] });
    expect(await reach(connector, 'two.example')).toBe('127.0.0.1');
  });

  test('none of whose addresses answers fails as its last one did', async () => {
    const { connector } = bench({ 'dead.example': ['127.0.0.2', '127.0.0.3'] });
    await expect(reach(connector, 'dead.example')).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      address: '127.0.0.3',
    });
  });

  test('that does not resolve fails with the resolver’s error; one without any address fails, too', async () => {
    const notFound = Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    const { connector } = bench({ 'none.example': notFound, 'empty.example': [] });
    await expect(reach(connector, 'none.example')).rejects.toBe(notFound);
    await expect(reach(connector, 'empty.example')).rejects.toBeInstanceOf(Error);
    expect(accepted).toBe(0);
  });
});
