import type { Random } from './random.ts';
import { WEIGHT, type SampleKind } from './sample-event.ts';
import { email, id, ipAddress, often, person, userAgent } from './vocabulary.ts';

const ROLES = ['OWNER', 'ADMIN', 'EDITOR', 'VIEWER'];

function account(random: Random): object {
  const { firstName, lastName, email: address } = person(random);
  return { userId: id(random, 'usr'), email: address, displayName: `${firstName} ${lastName}` };
}

export const userEvents: readonly SampleKind[] = [
  {
    type: 'user.created',
    version: 1,
    weight: WEIGHT.occasional,
    fields: (random) =>
      Object.assign(account(random), {
        role: random.pick(ROLES),
        invitedBy: email(random),
        locale: random.pick(['de-DE', 'en-GB', 'pt-PT', 'ja-JP']),
        timeZone: random.pick(['Europe/Berlin', 'Europe/Lisbon', 'Asia/Tokyo']),
        teams: ['marketing', 'growth'],
      }),
  },
  {
    type: 'user.updated',
    version: 1,
    weight: WEIGHT.occasional,
    fields: (random) =>
      Object.assign(account(random), {
        role: random.pick(ROLES),
        changedFields: ['role', 'displayName'],
        updatedBy: email(random),
        ipAddress: ipAddress(random),
      }),
  },
  {
    type: 'user.deleted',
    version: 1,
    weight: WEIGHT.rare,
    fields: (random) =>
      Object.assign(account(random), {
        deletedBy: email(random),
        reason: 'Left the company, account closed by an administrator',
        transferredTo: often(random, id(random, 'usr')),
      }),
  },
  {
    type: 'user.logged_in',
    version: 1,
    weight: WEIGHT.regular,
    fields: (random) => ({
      userId: id(random, 'usr'),
      email: email(random),
      sessionId: random.uuid(),
      method: random.pick(['PASSWORD', 'SSO', 'MAGIC_LINK', 'API_KEY']),
      mfa: random.chance(0.6),
      ipAddress: ipAddress(random),
      userAgent: userAgent(random),
    }),
  },
];
