/** What must hold of an inbox, real or with a planted bug: nothing lost, one turn of each other, shares by weight. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Priority } from '../../src/domain/destination.ts';
import type { WorkClass } from '../../src/domain/work-class.ts';
import type { FairInbox } from '../../src/schedule/fair-inbox.ts';
import type { FairInboxOptions } from '../../src/schedule/fair-inbox.ts';
import { variantOf } from '../domain/planted-bug.ts';

type InboxClass = typeof FairInbox;

/** A bug in the inbox, or in what it is made of. */
export interface Change {
  readonly file: 'entry-store.ts' | 'tenant-queue.ts' | 'fair-inbox.ts';
  readonly from: string;
  readonly to: string;
}

export async function inboxVariant({ file, from, to }: Change): Promise<InboxClass> {
  const { FairInbox: Buggy } = await variantOf<{ FairInbox: InboxClass }>('schedule/fair-inbox.ts', [
    from,
    to,
    `schedule/${file}`,
  ]);
  return Buggy;
}

export const CLASSES = ['first', 'retry', 'replay', 'bulk'] as const;
const PRIORITIES = ['high', 'normal', 'low'] as const;
export const QUANTUM = 1_000;
export const WEIGHTS: FairInboxOptions<string>['weights'] = {
  classes: { first: 8, retry: 4, replay: 2, bulk: 1 },
  priorities: { high: 16, normal: 4, low: 1 },
};
const TENANTS = ['a', 'b', 'c', 'd', 'e'] as const;
const TENANT_WEIGHT: Readonly<Record<string, number>> = { a: 1, b: 1, c: 2, d: 0.3, e: 5 };
const weightOf = (tenant: string): number => TENANT_WEIGHT[tenant] ?? 1;
export const OPTIONS: FairInboxOptions<string> = {
  quantumBytes: QUANTUM,
  tenantWeight: weightOf,
  weights: WEIGHTS,
};

export interface Batch {
  readonly name: number;
}
interface Entry {
  readonly batch: Batch;
  readonly recordIndex: number;
  readonly position: number;
  readonly bytes: number;
  readonly tenant: string;
  readonly workClass: WorkClass;
  readonly priority: Priority;
}

function add(inbox: FairInbox<Batch>, entry: Entry): void {
  const { batch, recordIndex, position, bytes, tenant, workClass, priority } = entry;
  inbox.add(batch, recordIndex, position, bytes, tenant, workClass, priority);
}

const tenant = fc.constantFrom(...TENANTS);
/** Mostly one of them, so that entries meet in the same flow. */
const workClass = fc.oneof(
  { weight: 4, arbitrary: fc.constant('first' as const) },
  fc.constantFrom(...CLASSES),
);
const priority = fc.oneof(
  { weight: 4, arbitrary: fc.constant('normal' as const) },
  fc.constantFrom(...PRIORITIES),
);
/** From nothing to several quanta. */
const bytes = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 400 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 7_000 }) },
);

type Step =
  | {
      readonly kind: 'add';
      readonly entry: Pick<Entry, 'tenant' | 'workClass' | 'priority' | 'bytes'>;
      readonly isNewBatch: boolean;
    }
  | { readonly kind: 'next' | 'repack' }
  | { readonly kind: 'park' | 'unpark' | 'bounce'; readonly tenant: string };

const adds: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('add' as const),
  entry: fc.record({ tenant, workClass, priority, bytes }),
  isNewBatch: fc.boolean(),
});
const parks: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('park' as const, 'unpark' as const, 'bounce' as const),
  tenant,
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 16, arbitrary: adds },
  { weight: 8, arbitrary: fc.constant({ kind: 'next' } as const) },
  { weight: 4, arbitrary: parks },
  { weight: 1, arbitrary: fc.constant({ kind: 'repack' } as const) },
);

/** For what is judged at every step: an `expect` that holds takes longer than the step. */
function same(actual: unknown, expected: unknown, what: string): void {
  if (!Object.is(actual, expected)) expect(actual, what).toBe(expected);
}

const flowOf = (entry: Entry): string => `${entry.tenant} ${entry.workClass} ${entry.priority}`;

/** An inbox beside a list of what must be in it, in the order it came. */
class Compared {
  readonly inbox: FairInbox<Batch>;
  readonly parked = new Set<string>();
  entries: Entry[] = [];
  #batch: Batch = { name: 0 };
  #recordIndex = 0;

  constructor(Tested: InboxClass) {
    this.inbox = new Tested<Batch>(OPTIONS);
  }

  run(one: Step): void {
    switch (one.kind) {
      case 'add':
        this.add(one);
        break;
      case 'next':
        this.next();
        break;
      case 'repack':
        this.#repack();
        break;
      case 'park':
      case 'unpark':
      case 'bounce':
        this.#park(one.kind, one.tenant);
        break;
    }
    same(this.inbox.size, this.entries.length, 'size');
    const held = new Set(this.entries.map(({ batch }) => batch)).size;
    same(this.inbox.batches <= this.entries.length, true, 'no batch is held for nothing');
    same(this.inbox.batches >= held, true, 'no batch is let go too early');
  }

  add({ entry, isNewBatch }: Extract<Step, { kind: 'add' }>): void {
    if (isNewBatch) this.#startBatch();
    const recordIndex = this.#recordIndex++;
    const added = { ...entry, batch: this.#batch, recordIndex, position: recordIndex * 7 };
    add(this.inbox, added);
    this.entries.push(added);
  }

  next(): Entry | null {
    const { inbox } = this;
    const isThere = this.entries.some((entry) => !this.parked.has(entry.tenant));
    same(inbox.next(), isThere, 'next');
    if (!isThere) {
      same(inbox.tenants, this.parked.size, 'only parked tenants are remembered');
      return null;
    }
    same(this.parked.has(inbox.tenant), false, 'parked');
    const flow = `${inbox.tenant} ${inbox.workClass} ${inbox.priority}`;
    const first = this.entries.find((entry) => flowOf(entry) === flow)!;
    same(inbox.batch, first.batch, 'the oldest of its tenant, class and priority');
    for (const field of ['recordIndex', 'position', 'bytes'] as const)
      same(inbox[field], first[field], field);
    this.entries.splice(this.entries.indexOf(first), 1);
    return first;
  }

  drain(): void {
    for (const name of TENANTS) this.run({ kind: 'unpark', tenant: name });
    while (this.next() !== null);
    expect(this.entries).toEqual([]);
    expect([this.inbox.size, this.inbox.batches, this.inbox.tenants]).toEqual([0, 0, 0]);
  }

  /** A bounce is a park that is taken back at once. */
  #park(kind: 'park' | 'unpark' | 'bounce', name: string): void {
    if (kind !== 'unpark') this.inbox.park(name);
    if (kind !== 'park') this.inbox.unpark(name);
    if (kind === 'park') this.parked.add(name);
    else this.parked.delete(name);
  }

  #startBatch(): void {
    this.#batch = { name: this.#batch.name + 1 };
    this.#recordIndex = 0;
  }

  #repack(): void {
    this.#startBatch();
    const into = this.#batch;
    const moved = new Map<Entry, Entry>();
    this.inbox.repack(into, (batch, recordIndex, position, size) => {
      const one = this.entries.find((entry) => entry.batch === batch && entry.recordIndex === recordIndex)!;
      expect([position, size]).toEqual([one.position, one.bytes]);
      const place = { batch: into, recordIndex: moved.size, position: 1_000 + moved.size };
      moved.set(one, { ...one, ...place });
      return place.position;
    });
    this.entries = this.entries.map((entry) => moved.get(entry)!);
    this.#recordIndex = this.entries.length;
    expect(this.inbox.batches).toBe(Math.min(this.entries.length, 1));
  }
}

export function nothingLost(Tested: InboxClass): fc.IProperty<[Step[]]> {
  return fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
    const compared = new Compared(Tested);
    for (const one of steps) compared.run(one);
    compared.drain();
  });
}

/** Whatever the others hold, a tenant that comes newly waits for one turn of each, while they do what they like. */
export function oneTurnEach(Tested: InboxClass): fc.IProperty<[Step[], number, Step[]]> {
  const addOf = (name: string, size: number): Step => ({
    kind: 'add',
    entry: { tenant: name, workClass: 'first', priority: 'normal', bytes: size },
    isNewBatch: false,
  });
  const before = fc.array(step, { maxLength: 80, size: 'max' });
  const meanwhile = fc.array(fc.oneof(adds, parks), { maxLength: 60, size: 'max' });
  return fc.property(before, fc.integer({ min: 0, max: 40 }), meanwhile, (steps, flood, others) => {
    const compared = new Compared(Tested);
    for (let i = 0; i < flood; i++) for (const name of TENANTS) compared.run(addOf(name, 230));
    for (const one of steps) compared.run(one);
    compared.run(addOf('new', 50));
    const taken = new Map<string, number[]>();
    for (let i = 0; ; i++) {
      if (i < others.length) compared.run(others[i]!);
      const entry = compared.next()!;
      if (entry.tenant === 'new') break;
      taken.set(entry.tenant, [...(taken.get(entry.tenant) ?? []), Math.max(entry.bytes, 1)]);
    }
    for (const [name, sizes] of taken) {
      const exceptLast = sizes.slice(0, -1).reduce((sum, size) => sum + size, 0);
      expect(exceptLast, `${name} had one turn`).toBeLessThan(QUANTUM * weightOf(name));
    }
  });
}

interface Taken {
  readonly who: string;
  readonly bytes: number;
}

/** How far one of the two gets ahead of the other at most, in any stretch of a run, in bytes over weight. */
function widestGap(
  taken: readonly Taken[],
  [one, other]: readonly [string, string],
  weight: WeightOf,
): number {
  let gap = 0;
  let [low, high] = [0, 0];
  for (const { who, bytes: size } of taken) {
    if (who === one) gap += size / weight(who);
    if (who === other) gap -= size / weight(who);
    low = Math.min(low, gap);
    high = Math.max(high, gap);
  }
  return high - low;
}

type WeightOf = (who: string) => number;

/** Of each two of these, which always had something: the gap is no wider than `slack` and the largest entry of each. */
function expectShares(
  taken: readonly Taken[],
  names: readonly string[],
  weight: WeightOf,
  largest: number,
  slack: number,
): void {
  for (const one of names) {
    for (const other of names.filter((name) => name > one)) {
      const bound = slack + largest / weight(one) + largest / weight(other);
      expect(widestGap(taken, [one, other], weight), `${one}, ${other}`).toBeLessThanOrEqual(bound + 1e-6);
    }
  }
}

const sizes = fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 20, size: 'max' });

/** Tenants that have always something; another one is parked and unparked in between. */
export function sharesOfTenants(Tested: InboxClass): fc.IProperty<[number[], boolean[]]> {
  return fc.property(sizes, fc.array(fc.boolean(), { maxLength: 20, size: 'max' }), (of, parks) => {
    const inbox = new Tested<Batch>(OPTIONS);
    let count = 0;
    const refill = (name: string): void => {
      const size = of[count % of.length]!;
      inbox.add({ name: 0 }, count++, 0, size, name, 'first', 'normal');
    };
    for (const name of [...TENANTS, ...TENANTS]) refill(name);
    const taken: Taken[] = [];
    for (let i = 0; i < 400; i++) {
      const isParked = parks[i % 20];
      if (isParked !== undefined) inbox[isParked ? 'park' : 'unpark']('b');
      same(inbox.next(), true, 'next');
      taken.push({ who: inbox.tenant, bytes: inbox.bytes });
      refill(inbox.tenant);
    }
    const always = TENANTS.filter((name) => name !== 'b');
    expectShares(taken, always, weightOf, Math.max(...of), QUANTUM);
  });
}

/** A tenant of which some flows have always something; others come and go in between. */
export function sharesOfClasses(Tested: InboxClass): fc.IProperty<[string[], number[]]> {
  const flows = CLASSES.flatMap((one) => PRIORITIES.map((other) => `${one} ${other}`));
  return fc.property(fc.subarray(flows, { minLength: 2 }), sizes, (always, of) => {
    const inbox = new Tested<Batch>(OPTIONS);
    let count = 0;
    const refill = (flow: string): void => {
      const [one, other] = flow.split(' ') as [WorkClass, Priority];
      const size = of[count % of.length]!;
      inbox.add({ name: 0 }, count++, 0, size, 'a', one, other);
    };
    for (const flow of [...always, ...always]) refill(flow);
    const classes: Taken[] = [];
    const priorities = new Map<string, Taken[]>(CLASSES.map((name) => [name, []]));
    for (let i = 0; i < 300; i++) {
      same(inbox.next(), true, 'next');
      classes.push({ who: inbox.workClass, bytes: inbox.bytes });
      priorities.get(inbox.workClass)!.push({ who: inbox.priority, bytes: inbox.bytes });
      const flow = `${inbox.workClass} ${inbox.priority}`;
      if (always.includes(flow)) refill(flow);
      if (i % 7 === 0) refill(flows[i % flows.length]!);
    }
    const busy = CLASSES.filter((name) => always.some((flow) => flow.startsWith(name)));
    expectShares(classes, busy, (who) => WEIGHTS.classes[who as WorkClass], Math.max(...of), 0);
    for (const [name, taken] of priorities) {
      const names = PRIORITIES.filter((one) => always.includes(`${name} ${one}`));
      expectShares(taken, names, (who) => WEIGHTS.priorities[who as Priority], Math.max(...of), 0);
    }
  });
}

export function failsOn<Inputs>(property: fc.IProperty<Inputs>): boolean {
  return fc.check(property, { seed: 1, numRuns: 200 }).failed;
}
