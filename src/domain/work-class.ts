/**
 * Why a record is worked on: classes share a tenant's turns in a lane by weights. Records of delay topics are
 * `retry`, those of source topics `first` unless the configuration gives their topic one of the others.
 */
export const WORK_CLASSES = ['first', 'retry', 'replay', 'bulk'] as const;
export type WorkClass = (typeof WORK_CLASSES)[number];

/** Classes that the configuration can give to a topic. */
export const TOPIC_CLASSES = ['replay', 'bulk'] as const satisfies readonly WorkClass[];
export type TopicClass = (typeof TOPIC_CLASSES)[number];
