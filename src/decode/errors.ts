import type { InvalidReason } from '../domain/outcome.ts';

/** A writer schema this program cannot use: broken, not Avro, or without a record at the top. Never becomes usable. */
export class UnusableSchema extends Error {
  override readonly name = 'UnusableSchema';
}

/** The schema registry did not give a usable answer; nothing is known about the schema, and asking again may help. */
export class RegistryUnavailable extends Error {
  override readonly name = 'RegistryUnavailable';
}

/** One record that is no usable event, with the reason its ledger row carries. */
export class InvalidRecord extends Error {
  override readonly name = 'InvalidRecord';
  readonly reason: InvalidReason;

  constructor(reason: InvalidReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
