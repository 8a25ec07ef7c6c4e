import { campaignEvents } from './campaign-events.ts';
import { contactEvents } from './contact-events.ts';
import { emailEvents } from './email-events.ts';
import type { SampleKind } from './sample-event.ts';
import { systemEvents } from './system-events.ts';
import { transactionEvents } from './transaction-events.ts';
import { userEvents } from './user-events.ts';

/** Every kind of sample event, each with a schema in the folder `schemas/`. */
export const catalogue: readonly SampleKind[] = [
  ...contactEvents,
  ...emailEvents,
  ...campaignEvents,
  ...userEvents,
  ...transactionEvents,
  ...systemEvents,
];

/** Event types of the catalogue, each once. */
export const catalogueTypes: readonly string[] = [...new Set(catalogue.map((kind) => kind.type))];

/** The subject of a type's schemas in `schemas/index.json`: `contact.created` is `eventdispatch.contact.ContactCreated`. */
export function subjectOf(type: string): string {
  const family = type.slice(0, type.indexOf('.'));
  const name = type
    .split(/[._]/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
  return `eventdispatch.${family}.${name}`;
}
