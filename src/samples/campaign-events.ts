import { WEIGHT, type SampleKind } from './sample-event.ts';
import { CAMPAIGN_NAMES, email, id, often, someOf } from './vocabulary.ts';

const HOUR_MS = 3_600_000;
const SEGMENTS = ['seg_active_30d', 'seg_trial', 'seg_dach', 'seg_enterprise'];
const STEP_RESULTS = ['done', 'skipped: already a customer', 'done: branch "opened"'];

export const campaignEvents: readonly SampleKind[] = [
  {
    type: 'campaign.started',
    version: 1,
    weight: WEIGHT.rare,
    fields: (random, nowMs) => ({
      campaignId: id(random, 'cmp'),
      name: `${random.pick(CAMPAIGN_NAMES)} ${random.between(2024, 2026)}`,
      channel: random.pick(['EMAIL', 'SMS', 'PUSH']),
      audienceSize: random.between(200, 250_000),
      segmentIds: someOf(random, SEGMENTS, 4),
      startedBy: email(random),
      endsAt: often(random, nowMs + random.between(1, 240) * HOUR_MS),
    }),
  },
  {
    type: 'campaign.step_executed',
    version: 1,
    weight: WEIGHT.frequent,
    fields: (random, nowMs) => ({
      campaignId: id(random, 'cmp'),
      stepId: id(random, 'stp'),
      stepNumber: random.between(1, 12),
      action: random.pick(['SEND', 'WAIT', 'BRANCH', 'UPDATE_CONTACT']),
      contactId: id(random, 'ct'),
      contactEmail: email(random),
      result: random.pick(STEP_RESULTS),
      durationMs: random.between(1, 900),
      nextStepAt: often(random, nowMs + random.between(1, 72) * HOUR_MS),
    }),
  },
  {
    type: 'form.submitted',
    version: 1,
    weight: WEIGHT.regular,
    fields: (random) => ({
      formId: id(random, 'frm'),
      formName: 'Contact sales',
      pageUrl: 'https://www.example.com/pricing/contact',
      contactId: often(random, id(random, 'ct')),
      fields: { email: email(random), seats: String(random.between(1, 500)) },
      utm: often(random, { source: 'search', medium: 'cpc', campaign: 'brand' }),
    }),
  },
  {
    type: 'scoring.changed',
    version: 1,
    weight: WEIGHT.regular,
    fields: (random) => ({
      contactId: id(random, 'ct'),
      email: email(random),
      previousScore: random.between(0, 100),
      newScore: random.between(0, 100),
      grade: random.pick(['A', 'B', 'C', 'D']),
      model: 'default-2026-04',
      contributions: [
        { rule: 'opened-last-7-days', points: random.between(1, 10) },
        { rule: 'visited-pricing', points: random.between(5, 25) },
      ],
    }),
  },
];
