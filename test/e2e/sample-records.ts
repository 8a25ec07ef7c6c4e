import { FolderEncoder } from '../../src/decode/avro-encoder.ts';
import { readSchemaFolder } from '../../src/decode/schema-folder.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { SampleGenerator, type Sample } from '../../src/samples/generator.ts';
import { repositoryRoot } from '../support/repository.ts';

export interface SampleRecordsOptions {
  readonly count: number;
  readonly tenants: number;
  readonly types: readonly string[];
  /** Also tells the ids of one call from those of another. */
  readonly seed: number;
}

/** Events of the catalogue, encoded and not sent yet; tenants come equally often. */
export function sampleRecords({ count, ...options }: SampleRecordsOptions): Sample[] {
  const schemas = new FolderEncoder(readSchemaFolder(`${repositoryRoot}/schemas`));
  const generator = new SampleGenerator({ ...options, schemas, skew: 0, clock: systemClock });
  return Array.from({ length: count }, () => generator.next());
}
