/**
 * Proves that a batch which is told to be durable is in the ledger or in the overflow, whatever both answer and
 * whenever it is diverted; and that, the overflow drained, each of its rows is in the ledger once.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BatchSender, type LedgerPart } from '../../src/ledger/batch-sender.ts';
import { LedgerError } from '../../src/ledger/errors.ts';
import { variantOf } from '../domain/planted-bug.ts';
import { settle, SimulatedTime } from './simulated-time.ts';

type SenderClass = typeof BatchSender;

/** How one call is answered: after a while, having stored the rows or not, well or with an error. */
interface Answer {
  readonly afterMs: number;
  readonly stores: boolean;
  readonly isError: boolean;
}

const anyAnswer: fc.Arbitrary<Answer> = fc
  .record({ afterMs: fc.nat(4_000), stores: fc.boolean(), isError: fc.boolean() })
  .map((answer) => ({ ...answer, stores: answer.stores || !answer.isError }));

interface Run {
  /** Parts of each batch. */
  readonly batches: readonly number[];
  readonly ledger: readonly Answer[];
  readonly overflow: readonly Answer[];
  /** When it is told to divert. */
  readonly diversions: readonly number[];
}

const anyRun: fc.Arbitrary<Run> = fc.record({
  batches: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 12 }),
  ledger: fc.array(anyAnswer, { maxLength: 40 }),
  overflow: fc.array(anyAnswer, { maxLength: 10 }),
  diversions: fc.array(fc.nat(30_000), { maxLength: 6 }),
});

class Store {
  readonly tokens = new Map<string, number>();
  readonly #answers: Answer[];
  readonly #time: SimulatedTime;
  /** The token of a call whose rows are there, before it is answered. */
  readonly onStored: (token: string) => void;

  constructor(
    time: SimulatedTime,
    answers: readonly Answer[],
    onStored: (token: string) => void = () => undefined,
  ) {
    this.#time = time;
    this.#answers = [...answers];
    this.onStored = onStored;
  }

  async take(token: string, bytes: number): Promise<void> {
    const { afterMs, stores, isError } = this.#answers.shift() ?? {
      afterMs: 1,
      stores: true,
      isError: false,
    };
    await new Promise<void>((resolve) => this.#time.set(resolve, afterMs));
    if (stores) this.tokens.set(token, bytes);
    if (isError) throw new LedgerError('socket hang up', 'retryable', null, null);
    this.onStored(token);
  }
}

function makesDurable(Class: SenderClass): (run: Run) => Promise<void> {
  return async ({ batches, ledger: ledgerAnswers, overflow: overflowAnswers, diversions }) => {
    const time = new SimulatedTime();
    const acknowledged = new Set<string>();
    const ledger = new Store(time, ledgerAnswers, (token) => acknowledged.add(token));
    const overflow = new Store(time, overflowAnswers);
    let isDiverting = false;
    let hasEnded = false;
    const sender: BatchSender = new Class({
      sink: { insert: (_, [piece], token) => ledger.take(token, piece?.length ?? 0) },
      overflow: { put: ({ token, bytes }) => overflow.take(token, bytes) },
      clock: time,
      timers: time,
      random: () => 0,
      onState: () => undefined,
      onDiverting: (now) => {
        expect(now).toBe(!isDiverting);
        isDiverting = now;
        hasEnded ||= !now;
      },
      onOverflowFailed: () => undefined,
    });
    for (const atMs of diversions) {
      time.set(() => {
        sender.divert();
      }, atMs);
    }
    let sent = 0;
    let isDone = false;
    const send = async (): Promise<void> => {
      for (const [batch, parts] of batches.entries()) {
        const all = Array.from({ length: parts }, (_, part) => partOf(`${batch}-${part}`));
        hasEnded = false;
        expect(await sender.send(all)).toBe(true);
        for (const { token } of all) {
          expect(acknowledged.has(token) || overflow.tokens.has(token), `${token} is nowhere`).toBe(true);
        }
        if (hasEnded as boolean) expect(all.every(({ token }) => acknowledged.has(token))).toBe(true);
        sent += parts;
      }
      isDone = true;
    };
    const sending = send();
    let failure: unknown = null;
    sending.catch((error: unknown) => {
      failure = error;
      isDone = true;
    });
    for (let i = 0; i < 300 && !(isDone as boolean); i++) await time.advance(15_000);
    if (failure !== null) throw failure as Error;
    expect(isDone).toBe(true);
    // What was still on its way arrives; then the overflow is drained.
    await time.advance(60_000);
    await settle();
    for (const [token, bytes] of overflow.tokens) ledger.tokens.set(token, bytes);
    expect(ledger.tokens.size).toBe(sent);
    expect(sender.isDiverting).toBe(isDiverting);
    expect(time.timers).toBe(0);
  };
}

function partOf(token: string): LedgerPart {
  return { table: 'attempts', pieces: [Buffer.from(`${token}\n`)], bytes: token.length + 1, rows: 1, token };
}

test('any answers, any diversions', async () => {
  await fc.assert(fc.asyncProperty(anyRun, makesDurable(BatchSender)), { numRuns: 400 });
});

describe('the property catches', () => {
  const imports = [
    [
      `import { toLedgerError, type LedgerError, type LedgerErrorKind } from './errors.ts';`,
      `const toLedgerError = (error) => error;`,
    ],
    [`import { retryDelayMs } from './retry-delay.ts';`, `const retryDelayMs = () => 500;`],
  ] as const;
  test.each([
    {
      bug: 'an overflow that refused and counts',
      from: `if (put.answer === 'acknowledged') {`,
      to: `if (put.answer !== null) {`,
    },
    {
      bug: 'an insert without an answer that counts',
      from: 'if (pending.answer === null) return pending;',
      to: `if (pending.answer === null) return 'acknowledged';`,
    },
    {
      bug: 'a failed insert that counts',
      from: 'if (flight.isDiverted) return null;',
      to: `if (flight.isDiverted) return 'acknowledged';`,
    },
    {
      bug: 'a batch in the overflow that ends the diversion',
      from: 'flight.isInserted = false;',
      to: '',
    },
    {
      bug: 'a wait that nothing ends',
      from: 'void cutShort?.then(end);',
      to: 'if (cutShort !== null) this.#options.timers.clear(timer);',
    },
  ])('$bug', async ({ from, to }) => {
    const { BatchSender: planted } = await variantOf<{ BatchSender: SenderClass }>(
      'ledger/batch-sender.ts',
      ...imports,
      [from, to],
    );
    await expect(
      fc.assert(fc.asyncProperty(anyRun, makesDurable(planted)), {
        seed: 1,
        numRuns: 400,
        endOnFailure: true,
      }),
    ).rejects.toThrow();
  });
});

describe('a ledger that is away', () => {
  function setUp() {
    const time = new SimulatedTime();
    const log: string[] = [];
    const answers: ((error: Error | null) => void)[] = [];
    const puts: ((error: Error | null) => void)[] = [];
    const sender = new BatchSender({
      sink: {
        insert: (_, __, token) =>
          new Promise((resolve, reject) => {
            log.push(`insert ${token}`);
            answers.push((error) => {
              if (error === null) resolve();
              else reject(error);
            });
          }),
      },
      overflow: {
        put: ({ token }) =>
          new Promise((resolve, reject) => {
            log.push(`put ${token}`);
            puts.push((error) => {
              if (error === null) resolve();
              else reject(error);
            });
          }),
      },
      clock: time,
      timers: time,
      random: () => 0,
      onState: (state) => log.push(state),
      onDiverting: (isDiverting) => log.push(isDiverting ? 'diverting' : 'direct'),
      onOverflowFailed: () => log.push('overflow failed'),
    });
    const send = async (token: string): Promise<void> => {
      if (await sender.send([partOf(token)])) log.push(`durable ${token}`);
    };
    return { time, log, answers, puts, sender, send };
  }
  const down = new LedgerError('ECONNREFUSED', 'retryable', null, null);

  test('gets one batch as a probe each time the retry delay has passed, and none else', async () => {
    const { time, log, answers, puts, sender, send } = setUp();
    void send('a');
    sender.divert();
    await settle();
    puts.shift()?.(null);
    await settle();
    void send('b');
    await settle();
    puts.shift()?.(null);
    await time.advance(200);
    void send('c');
    await settle();
    answers[1]?.(down);
    await settle();
    puts.shift()?.(null);
    await settle();
    expect(log).toEqual([
      ...['insert a', 'diverting', 'put a', 'durable a'],
      ...['put b', 'durable b'],
      ...['insert c', 'retrying', 'put c', 'durable c'],
    ]);
    log.length = 0;
    await time.advance(400);
    void send('d');
    await settle();
    answers[2]?.(null);
    await settle();
    void send('e');
    await settle();
    expect(log).toEqual(['insert d', 'direct', 'ok', 'durable d', 'insert e']);
    sender.stop();
  });

  test('and answers after all: the batch is durable, though the overflow has not answered', async () => {
    const { log, answers, sender, send } = setUp();
    void send('a');
    await settle();
    sender.divert();
    await settle();
    answers[0]?.(null);
    await settle();
    expect(log).toEqual(['insert a', 'diverting', 'put a', 'direct', 'durable a']);
  });

  test('while the overflow refuses too: both are tried, in growing delays', async () => {
    const { time, log, answers, puts, sender, send } = setUp();
    void send('a');
    sender.divert();
    await settle();
    puts[0]?.(new Error('no broker'));
    answers[0]?.(down);
    await settle();
    expect(log).toEqual(['insert a', 'diverting', 'put a', 'retrying', 'insert a', 'overflow failed']);
    log.length = 0;
    await time.advance(200);
    answers[1]?.(down);
    puts[1]?.(new Error('no broker'));
    await settle();
    await time.advance(400);
    expect(log).toEqual(['put a', 'retrying', 'insert a', 'overflow failed', 'put a']);
    sender.stop();
    expect(time.timers).toBe(0);
  });

  test('without an overflow, diverting does nothing', async () => {
    const time = new SimulatedTime();
    const sender = new BatchSender({
      sink: { insert: () => new Promise(() => undefined) },
      overflow: null,
      clock: time,
      timers: time,
      random: () => 0,
      onState: () => undefined,
      onDiverting: () => {
        throw new Error('diverted to nowhere');
      },
      onOverflowFailed: () => undefined,
    });
    void sender.send([partOf('a')]);
    sender.divert();
    await settle();
    expect(sender.isDiverting).toBe(false);
  });
});
