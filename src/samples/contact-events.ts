import type { Random } from './random.ts';
import { WEIGHT, type SampleKind } from './sample-event.ts';
import { COMPANIES, PLACES, email, id, often, person, phone, someOf } from './vocabulary.ts';

const LISTS = ['newsletter', 'customers-eu', 'webinar-2026', 'beta'];
const STAGES = ['lead', 'qualified', 'customer'];

function created(random: Random): object {
  const { firstName, lastName, email: address } = person(random);
  return {
    contactId: id(random, 'ct'),
    email: address,
    firstName,
    lastName,
    company: often(random, random.pick(COMPANIES)),
    origin: random.pick(['FORM', 'IMPORT', 'API', 'MANUAL']),
    consent: random.chance(0.8),
    listIds: someOf(random, LISTS, 3),
    attributes: { city: random.pick(PLACES), plan: 'pro' },
  };
}

export const contactEvents: readonly SampleKind[] = [
  {
    type: 'contact.created',
    version: 1,
    weight: WEIGHT.regular,
    fields: (random) => Object.assign(created(random), { phone: often(random, phone(random)) }),
  },
  {
    type: 'contact.created',
    version: 2,
    weight: WEIGHT.regular,
    fields: (random) =>
      Object.assign(created(random), {
        phoneNumber: often(random, phone(random)),
        lifecycleStage: random.pick(STAGES),
      }),
  },
  {
    type: 'contact.updated',
    version: 1,
    weight: WEIGHT.regular,
    fields: (random) => ({
      contactId: id(random, 'ct'),
      email: email(random),
      changedFields: ['company', 'attributes.city'],
      previous: { company: random.pick(COMPANIES), 'attributes.city': random.pick(PLACES) },
      updatedBy: id(random, 'usr'),
    }),
  },
  {
    type: 'contact.deleted',
    version: 1,
    weight: WEIGHT.occasional,
    fields: (random) => ({
      contactId: id(random, 'ct'),
      email: email(random),
      reason: random.pick(['USER_REQUEST', 'BOUNCED', 'DUPLICATE', 'RETENTION']),
      deletedBy: id(random, 'usr'),
      erased: random.chance(0.5),
      note: often(random, 'Asked by e-mail, identity checked by support'),
    }),
  },
];
