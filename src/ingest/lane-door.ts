import { limits } from '../domain/limits.ts';
import { packHeaders } from '../domain/packed-headers.ts';
import type { SourceRecord } from '../domain/record.ts';
import type { Admission } from './admission.ts';
import type { Assignment } from './assignment.ts';
import { headerPairs } from './header-pairs.ts';
import { LanePacker, type PackedRecord } from './lane-packer.ts';
import type { Refusal } from './lane-shares.ts';
import type { Peek } from './peek.ts';
import { hashOfTenant, laneOfHash } from './tenant-lane.ts';
import type { TenantPartitions } from './tenant-partitions.ts';
import { laneOfPart, type SpreadTenant, type TenantSpread } from './tenant-spread.ts';

/** Where admitted records go. */
export interface LaneFeed {
  /** The buffer is given away. */
  send(lane: number, buffer: ArrayBuffer, count: number): void;
}

export interface LaneDoorOptions {
  readonly feed: LaneFeed;
  readonly lanes: number;
  readonly admission: Admission;
  readonly tenantPartitions: TenantPartitions;
  readonly spread: TenantSpread;
  readonly peek: Peek;
}

/**
 * Finds the lane of a record that was peeked at, admits it and packs it for there.
 *
 * A record of a tenant that is spread over lanes is admitted in as many copies, one for each
 * part of its destinations, all at once or not at all. A retry goes to the part that has its
 * destination.
 */
export class LaneDoor {
  readonly #options: LaneDoorOptions;
  readonly #packers: readonly LanePacker[];
  readonly #packed: PackedRecord = {
    assignment: 0,
    sequence: 0,
    offset: 0,
    timestampMs: 0,
    schemaId: 0,
    invalid: 0,
    part: 0,
    parts: 1,
    tenant: Buffer.alloc(0),
    tenantStart: 0,
    tenantEnd: 0,
    key: null,
    headers: null,
    value: null,
  };

  constructor(options: LaneDoorOptions) {
    this.#options = options;
    this.#packers = Array.from({ length: options.lanes }, () => new LanePacker());
  }

  /**
   * Lets the record in that `peek` looked at last. Its partition's window has room for one.
   * @param destinationId of a retry; null for what is for all destinations.
   * @returns what refuses it for now; null when it is admitted.
   */
  admit(assignment: Assignment, record: SourceRecord, destinationId: string | null): Refusal | null {
    const { peek, spread, tenantPartitions } = this.#options;
    const { tenant, tenantStart, tenantEnd } = peek;
    const hash = peek.invalid === 0 ? hashOfTenant(tenant, tenantStart, tenantEnd) : null;
    const several = hash === null ? null : spread.find(hash, tenant, tenantStart, tenantEnd);
    const refusal = this.#admitParts(assignment, record, hash, several, destinationId);
    if (refusal === null && hash !== null && assignment.delayMs === null) {
      tenantPartitions.see(hash, tenant, tenantStart, tenantEnd, assignment.partition);
    }
    return refusal;
  }

  /** Sends all that is packed. */
  sendAll(): void {
    for (let lane = 0; lane < this.#packers.length; lane++) this.#send(lane);
  }

  #admitParts(
    assignment: Assignment,
    record: SourceRecord,
    hash: number | null,
    spread: SpreadTenant | null,
    destinationId: string | null,
  ): Refusal | null {
    const { admission } = this.#options;
    const lanes = this.#packers.length;
    const home = hash === null ? assignment.partition % lanes : laneOfHash(hash, lanes);
    const parts = spread?.parts ?? 1;
    let first = 0;
    let last = parts - 1;
    // A destination that is there no more is in no part; the first one says so.
    if (spread !== null && destinationId !== null) {
      first = spread.partByDestination.get(destinationId) ?? 0;
      last = first;
    }
    if (last > first && !assignment.hasRoomFor(parts)) return 'share';
    for (let part = first; part <= last; part++) {
      const lane = laneOfPart(home, part, lanes);
      const refusal = admission.refusal(lane, admission.holderOf(lane, hash), assignment);
      if (refusal !== null) return refusal;
    }
    this.#fillPacked(assignment, record, parts);
    for (let part = first; part <= last; part++) {
      const { frontier } = assignment;
      this.#packed.part = part;
      this.#packed.sequence = part === first ? frontier.admit(record.offset) : frontier.admitCopy();
      const lane = laneOfPart(home, part, lanes);
      this.#pack(lane, admission.holderOf(lane, hash), assignment);
    }
    return null;
  }

  /** All but which part it is, and its sequence. */
  #fillPacked(assignment: Assignment, record: SourceRecord, parts: number): void {
    const { peek } = this.#options;
    const packed = this.#packed;
    packed.assignment = assignment.id;
    packed.parts = parts;
    packed.offset = record.offset;
    packed.timestampMs = Math.max(0, record.timestamp ?? 0);
    packed.schemaId = peek.schemaId;
    packed.invalid = peek.invalid;
    packed.tenant = peek.tenant;
    packed.tenantStart = peek.tenantStart;
    packed.tenantEnd = peek.tenantEnd;
    packed.key = record.key ?? null;
    packed.headers = record.headers === undefined ? null : packHeaders(headerPairs(record.headers));
    packed.value = record.value;
  }

  #pack(lane: number, holder: number, assignment: Assignment): void {
    const packer = this.#packers[lane] as LanePacker;
    const before = packer.bytes;
    packer.add(this.#packed);
    const bytes = packer.bytes - before;
    this.#options.admission.admit(assignment, this.#packed.sequence, lane, holder, bytes);
    if (packer.bytes >= limits.batchMaxBytes) this.#send(lane);
  }

  #send(lane: number): void {
    const batch = (this.#packers[lane] as LanePacker).take();
    if (batch !== null) this.#options.feed.send(lane, batch.buffer, batch.count);
  }
}
