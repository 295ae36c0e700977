import { fieldsOf, type Json } from '../../text/index.ts'

/** The fields that the config of every image classifier has, under Hugging Face's names if it has them. */
export interface ImageConfig {
  /** The height and width of an image. */
  readonly image_size: number
  readonly num_channels: number
  /** The names of the classes, in the order of the logits. */
  readonly labels: readonly string[]
  /** True if training leaves the running statistics of norms as they are: a choice of a run, which no file states. */
  readonly frozenStatistics?: boolean
}

/** The largest number of classes. */
const most = 2 ** 20

/**
 * The names of the classes: `id2label` of a config.json, or `LABEL_0` to the last one of `num_labels` (transformers'
 * default is 2). Throws an `IoError` that names the field.
 * @example labelsOf({ id2label: { 0: 'cat', 1: 'dog' } }, 'config.json') // ['cat', 'dog']
 */
export const labelsOf = (json: Json, file: string, named = (field: string): string => field): readonly string[] => {
  const fields = fieldsOf(json, file, named)
  const names = fields.object('id2label')
  if (names === undefined) return Array.from({ length: fields.integer('num_labels', most, 2) }, (_, i) => `LABEL_${i}`)
  const count = Object.keys(names).length
  const labels = Array.from({ length: count }, (_, i) => names[String(i)])
  if (count === 0 || count > most || !labels.every(label => typeof label === 'string'))
    throw fields.wrong('id2label', 'an object with the names of the classes 0, 1, 2, …')
  const asked = json['num_labels'] ?? count
  if (asked !== count) throw fields.wrong('num_labels', `${count}, as ${named('id2label')} says,`)
  return labels
}

/** The fields of a config.json for the names of classes: the inverse of {@link labelsOf}. */
export const labelsJson = (labels: readonly string[]): Json => ({
  id2label: Object.fromEntries(labels.map((label, i) => [String(i), label])),
  label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
})

/** The fields of config.json files that describe the classes, in transformers and in timm. */
const labelFields = ['num_labels', 'num_classes', 'id2label', 'label2id', 'label_names', 'label_descriptions'] as const

/**
 * A config.json for the classes of another one.
 * @example relabelled(json, architecture.json(config))
 */
export const relabelled = (json: Json, classes: Json): Json => {
  const isLabel = (field: string): boolean => labelFields.some(label => label === field)
  return {
    ...Object.fromEntries(Object.entries(json).filter(([field]) => !isLabel(field))),
    ...Object.fromEntries(Object.entries(classes).filter(([field]) => isLabel(field))),
  }
}

/** The two numbers of a size that may be one number, as `image_size: 224` or `image_size: [224, 224]`. */
export const squareOf = (json: Json, file: string, field: string, largest: number, fallback?: number): number => {
  const given = json[field]
  const [rows, columns] = Array.isArray(given) ? (given as readonly unknown[]) : [given, given]
  const fields = fieldsOf({ ...json, [field]: rows }, file, name => name)
  if (rows !== columns) throw fieldsOf(json, file, name => name).wrong(field, 'one number, or the same number twice')
  return fields.integer(field, largest, fallback)
}
