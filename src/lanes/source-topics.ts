import type { Priority } from '../domain/destination.ts';
import { mappingOf, type FieldMapping, type FieldMappings } from '../domain/event.ts';
import type { WorkClass } from '../domain/work-class.ts';

/** What the configuration says of the records of a source topic. */
export interface SourceTopic {
  readonly mapping: FieldMapping;
  readonly workClass: WorkClass;
  /** What is known of an event's priority before it is decoded. */
  readonly priority: Priority;
  /** Names class and priority together, in which records of a tenant keep their order; empty for the usual ones. */
  readonly flow: string;
}

/** Looked up once per record, so it is worked out once per topic that the configuration names. */
export class SourceTopics {
  readonly #named: ReadonlyMap<string, SourceTopic>;
  readonly #usual: SourceTopic;

  constructor(fields: FieldMappings, classes: Readonly<Record<string, WorkClass>>) {
    const classByTopic = new Map(Object.entries(classes));
    const names = new Set([...Object.keys(fields.byTopic), ...classByTopic.keys()]);
    this.#usual = sourceTopic(fields.default, 'first');
    this.#named = new Map(
      [...names].map((name) => [
        name,
        sourceTopic(mappingOf(fields, name), classByTopic.get(name) ?? 'first'),
      ]),
    );
  }

  of(topic: string): SourceTopic {
    return this.#named.get(topic) ?? this.#usual;
  }
}

function sourceTopic(mapping: FieldMapping, workClass: WorkClass): SourceTopic {
  const priority = mapping.priority?.from === 'constant' ? mapping.priority.value : 'normal';
  const isUsual = workClass === 'first' && priority === 'normal';
  return { mapping, workClass, priority, flow: isUsual ? '' : `${workClass} ${priority}` };
}
