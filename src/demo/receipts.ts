import { hash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import type { ReceiverBehaviour } from './destinations.ts';
import type { ReceiverCounts } from './receiver-messages.ts';

const FLUSH_CHARACTERS = 64 * 1024;
const HASH_RANGE = 2 ** 32;

/** The receivers' own record of what they accepted: a line per 2xx, destination and `webhook-id`. */
export class ReceiptsFile {
  readonly #descriptor: number;
  #pending = '';

  constructor(file: string) {
    this.#descriptor = openSync(file, 'a');
  }

  add(destination: string, webhookId: string): void {
    this.#pending += `${destination}\t${webhookId}\n`;
    if (this.#pending.length >= FLUSH_CHARACTERS) this.flush();
  }

  flush(): void {
    if (this.#pending !== '') writeSync(this.#descriptor, this.#pending);
    this.#pending = '';
  }

  close(): void {
    this.flush();
    closeSync(this.#descriptor);
  }
}

/** Judges each request of one receiver and counts the answers. */
export class Receptionist {
  readonly #id: string;
  readonly #behaviour: ReceiverBehaviour;
  readonly #receipts: Pick<ReceiptsFile, 'add'>;
  /** Refusals so far of the ids that were refused and not accepted yet. */
  readonly #refusals = new Map<string, number>();
  #accepted = 0;
  #refused = 0;

  constructor(id: string, behaviour: ReceiverBehaviour, receipts: Pick<ReceiptsFile, 'add'>) {
    this.#id = id;
    this.#behaviour = behaviour;
    this.#receipts = receipts;
  }

  get counts(): ReceiverCounts {
    return { id: this.#id, accepted: this.#accepted, refused: this.#refused };
  }

  /**
   * Whether this request is answered with 2xx, which is on record then. A function
   * of the id and of how often it was refused, so that equal runs fare equally.
   */
  accepts(webhookId: string): boolean {
    const refusals = this.#refusals.get(webhookId) ?? 0;
    if (isPicked(`${webhookId}/${refusals}`, this.#behaviour.failShare)) {
      this.#refusals.set(webhookId, refusals + 1);
      this.#refused++;
      return false;
    }
    if (refusals > 0) this.#refusals.delete(webhookId);
    this.#accepted++;
    this.#receipts.add(this.#id, webhookId);
    return true;
  }
}

/** True for about `share` of all texts, for the same ones each time. */
function isPicked(text: string, share: number): boolean {
  if (share <= 0) return false;
  return hash('sha256', text, 'buffer').readUInt32LE(0) < share * HASH_RANGE;
}
