import type { Random } from './random.ts';
import { WEIGHT, type SampleKind } from './sample-event.ts';
import { CAMPAIGN_NAMES, email, id, ipAddress, often, userAgent } from './vocabulary.ts';

const SENDERS = ['hello@news.example.com', 'support@example.com'];

function sent(random: Random): object {
  return {
    messageId: random.uuid(),
    contactId: id(random, 'ct'),
    campaignId: often(random, id(random, 'cmp')),
    sender: random.pick(SENDERS),
    subject: `${random.pick(CAMPAIGN_NAMES)}: what is new for you`,
    templateId: id(random, 'tpl'),
    sizeBytes: random.between(4_000, 90_000),
  };
}

export const emailEvents: readonly SampleKind[] = [
  {
    type: 'email.sent',
    version: 1,
    weight: WEIGHT.frequent,
    fields: (random) => Object.assign(sent(random), { recipient: email(random) }),
  },
  {
    type: 'email.sent',
    version: 2,
    weight: WEIGHT.frequent,
    fields: (random) => Object.assign(sent(random), { to: email(random), provider: 'smtp' }),
  },
  {
    type: 'email.opened',
    version: 1,
    weight: WEIGHT.frequent,
    fields: (random) => ({
      messageId: random.uuid(),
      contactId: id(random, 'ct'),
      recipient: email(random),
      openCount: random.between(1, 6),
      ipAddress: ipAddress(random),
      userAgent: userAgent(random),
      device: random.pick(['DESKTOP', 'MOBILE', 'TABLET', 'UNKNOWN']),
    }),
  },
  {
    type: 'email.clicked',
    version: 1,
    weight: WEIGHT.regular,
    fields: (random) => ({
      messageId: random.uuid(),
      contactId: id(random, 'ct'),
      url: `https://shop.example.com/p/${random.between(1_000, 9_999)}?utm_source=mail`,
      linkIndex: random.between(0, 12),
      ipAddress: ipAddress(random),
      userAgent: userAgent(random),
    }),
  },
];
