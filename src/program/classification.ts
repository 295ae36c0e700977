import type { Value, Shape } from '../tensor/index.ts'

/** Measures of a classifier's predictions, from its logits and the classes of the images. */

/** Logits `[images, classes]`. */
type Logits = Pick<Value<Shape>, 'data' | 'sizes'>

/** A class in a report. */
export interface ClassReport {
  readonly name: string
  readonly images: number
  /** The images of the class that have been given it. */
  readonly correct: number
  /** `correct / images`; null if the data have no image of it. */
  readonly accuracy: number | null
}

/** Images of one class that were given another. */
export interface Confusion {
  readonly label: string
  readonly predicted: string
  readonly images: number
}

/** The report on labelled images. */
export interface ClassificationReport {
  /** The mean cross-entropy. */
  readonly loss: number
  /** The part of the images whose class is the likeliest, or one of the five likeliest. */
  readonly top1: number
  readonly top5: number
  readonly images: number
  readonly classes: readonly ClassReport[]
  /** The mistakes, the most frequent ones first. */
  readonly confusions: readonly Confusion[]
}

/** The classes from the likeliest on; of equal logits, the first class wins. */
const ranked = (logits: Float32Array): readonly number[] =>
  Array.from(logits, (_, i) => i).sort((a, b) => logits[b]! - logits[a]! || a - b)

/** The logarithm of Σ e^logit, without overflow. */
const logSumExp = (logits: Float32Array): number => {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity)
  return most + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0))
}

/** The logits of each image. */
const rowsOf = ({ data, sizes: [n = 0, classes = 0] }: Logits): readonly Float32Array[] =>
  Array.from({ length: n }, (_, i) => data.subarray(i * classes, (i + 1) * classes))

/**
 * The probabilities of the `top` likeliest classes of each image, from the likeliest on.
 * @example likeliest(logits, ['cat', 'dog'], 1) // [[{ name: 'dog', probability: 0.9 }]]
 */
export const likeliest = (
  logits: Logits,
  labels: readonly string[],
  top: number,
): readonly (readonly { readonly name: string; readonly probability: number }[])[] =>
  rowsOf(logits).map(row => {
    const total = logSumExp(row)
    return ranked(row)
      .slice(0, top)
      .map(at => ({ name: labels[at]!, probability: Math.exp(row[at]! - total) }))
  })

/** The prediction of one image. */
export interface Outcome {
  readonly label: number
  /** The likeliest class. */
  readonly predicted: number
  /** True if the label is one of the five likeliest classes. */
  readonly amongFive: boolean
  /** The cross-entropy. */
  readonly loss: number
}

/** The outcomes of a batch. @example outcomesOf(logits, batch.labels.data) */
export const outcomesOf = (logits: Logits, labels: Int32Array): readonly Outcome[] =>
  rowsOf(logits).map((row, i): Outcome => {
    const label = labels[i]!
    const order = ranked(row)
    const amongFive = order.slice(0, 5).includes(label)
    return { label, predicted: order[0]!, amongFive, loss: logSumExp(row) - row[label]! }
  })

/** The report of the outcomes of all images. @example reportOf(outcomes, ['cat', 'dog']).top1 */
export const reportOf = (outcomes: readonly Outcome[], names: readonly string[]): ClassificationReport => {
  const images = outcomes.length
  const counts = new Map<number, Map<number, number>>()
  for (const { label, predicted } of outcomes) {
    const row = counts.get(label) ?? new Map<number, number>()
    counts.set(label, row.set(predicted, (row.get(predicted) ?? 0) + 1))
  }
  const classes = names.map((name, at): ClassReport => {
    const row = counts.get(at) ?? new Map<number, number>()
    const all = [...row.values()].reduce((a, b) => a + b, 0)
    const correct = row.get(at) ?? 0
    return { name, images: all, correct, accuracy: all === 0 ? null : correct / all }
  })
  const confusions = names.flatMap((label, at) =>
    [...(counts.get(at) ?? [])]
      .filter(([predicted]) => predicted !== at)
      .sort(([a], [b]) => a - b)
      .map(([predicted, wrong]) => ({ label, predicted: names[predicted]!, images: wrong })),
  )
  const part = (test: (outcome: Outcome) => boolean): number => outcomes.filter(test).length / images
  return {
    loss: outcomes.reduce((sum, { loss }) => sum + loss, 0) / images,
    top1: part(({ label, predicted }) => label === predicted),
    top5: part(({ amongFive }) => amongFive),
    images,
    classes,
    confusions: confusions.sort((a, b) => b.images - a.images),
  }
}
