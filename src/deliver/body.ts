import type { BodyFormat } from '../domain/destination.ts';
import type { Event } from '../domain/event.ts';

/** Characters that JSON writes as they are: no quote, backslash, control character or lone surrogate. */
const PLAIN = /^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/;

export const CONTENT_TYPE: Readonly<Record<BodyFormat, string>> = {
  cloudevents: 'application/cloudevents+json; charset=utf-8',
  data: 'application/json',
};

/**
 * The request body of an event: CloudEvents 1.0 structured JSON, with the tenant
 * and the correlation id as extension attributes, or the data alone.
 */
export function encodeBody(event: Event, format: BodyFormat): Buffer {
  return Buffer.from(format === 'data' ? event.dataJson : cloudEvent(event), 'utf8');
}

function cloudEvent(event: Event): string {
  return (
    `{"specversion":"1.0","id":${quoted(event.id)},"source":${quoted(event.source)},"type":${quoted(event.type)}` +
    `,"time":"${new Date(event.timeMs).toISOString()}","datacontenttype":"application/json"` +
    attribute('subject', event.key) +
    `,"tenantid":${quoted(event.tenant)}` +
    attribute('correlationid', event.correlationId) +
    attribute('eventversion', event.version) +
    `,"data":${event.dataJson}}`
  );
}

function attribute(name: string, value: string): string {
  return value === '' ? '' : `,"${name}":${quoted(value)}`;
}

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}
