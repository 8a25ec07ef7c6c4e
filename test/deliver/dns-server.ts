import { createSocket, type Socket } from 'node:dgram';

const TYPES: Readonly<Record<number, 'A' | 'AAAA'>> = { 1: 'A', 28: 'AAAA' };

/** What a name answers: addresses with a TTL in seconds, a failure, or silence. */
export type Answer =
  | { readonly A?: readonly string[]; readonly AAAA?: readonly string[]; readonly ttl: number }
  | 'NXDOMAIN'
  | 'SERVFAIL'
  | 'SILENCE';

const RESPONSE_CODES = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3 } as const;

/** A name server on a loopback UDP port, with just enough of RFC 1035 for A and AAAA queries. */
export class DnsServer {
  readonly names: Record<string, Answer> = {};
  /** `name type` of every query, in order. */
  readonly queries: string[] = [];
  readonly #socket: Socket = createSocket('udp4');

  /** @returns `127.0.0.1:port`. */
  async start(): Promise<string> {
    this.#socket.on('message', (query, { address, port }) => {
      const reply = this.#reply(query);
      if (reply !== null) this.#socket.send(reply, port, address);
    });
    await new Promise<void>((resolve) => this.#socket.bind(0, '127.0.0.1', resolve));
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(resolve));
  }

  #reply(query: Buffer): Buffer | null {
    const { name, questionEnd } = questionOf(query);
    const type = TYPES[query.readUInt16BE(questionEnd - 4)];
    this.queries.push(`${name} ${String(type)}`);
    const answer = this.names[name] ?? 'NXDOMAIN';
    if (answer === 'SILENCE' || type === undefined) return null;
    if (typeof answer === 'string') return message(query, questionEnd, RESPONSE_CODES[answer], []);
    const records = (answer[type] ?? []).map((address) => record(type, address, answer.ttl));
    return message(query, questionEnd, RESPONSE_CODES.NOERROR, records);
  }
}

function questionOf(query: Buffer): { readonly name: string; readonly questionEnd: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  // The root's empty label, the type and the class.
  return { name: labels.join('.').toLowerCase(), questionEnd: at + 5 };
}

function message(
  query: Buffer,
  questionEnd: number,
  responseCode: number,
  answers: readonly Buffer[],
): Buffer {
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180 | responseCode, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(answers.length, 6);
  return Buffer.concat([header, query.subarray(12, questionEnd), ...answers]);
}

function record(type: 'A' | 'AAAA', address: string, ttl: number): Buffer {
  const data =
    type === 'A'
      ? Buffer.from(address.split('.').map(Number))
      : Buffer.from(
          address
            .split(':')
            .map((group) => group.padStart(4, '0'))
            .join(''),
          'hex',
        );
  const head = Buffer.alloc(12);
  // A pointer to the question's name.
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type === 'A' ? 1 : 28, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(ttl, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}
