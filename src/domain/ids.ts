import { hash } from 'node:crypto';

/** 22 characters of base64url carry 132 bits: no collision to fear within one tenant. */
const DELIVERY_HASH_CHARACTERS = 22;

/**
 * The id of a delivery, and its `webhook-id`: a hash of (tenant, event, destination),
 * so that a re-read, a retry and a producer's duplicate are the same delivery.
 * Lengths go in first, so that no two triples spell the same text.
 */
export function deliveryId(tenant: string, eventId: string, destinationId: string): string {
  const text = `${tenant.length}.${eventId.length}.${tenant}${eventId}${destinationId}`;
  return `dlv_${hash('sha256', text, 'base64url').slice(0, DELIVERY_HASH_CHARACTERS)}`;
}
