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

/** Counts of predictions by class: a row for each class of the images, a column for each prediction. */
export interface Tally {
  readonly loss: number
  readonly top5: number
  readonly matrix: readonly (readonly number[])[]
}

/** No predictions. */
export const emptyTally = (classes: number): Tally => ({
  loss: 0,
  top5: 0,
  matrix: Array.from({ length: classes }, () => Array.from({ length: classes }, () => 0)),
})

/** The tally with those of one batch. @example tallied(tally, logits, batch.labels.data) */
export const tallied = ({ loss, top5, matrix }: Tally, logits: Logits, labels: Int32Array): Tally => {
  const counts = matrix.map(row => [...row])
  let [sum, among] = [loss, top5]
  rowsOf(logits).forEach((row, i) => {
    const label = labels[i]!
    const order = ranked(row)
    sum += logSumExp(row) - row[label]!
    if (order.slice(0, 5).includes(label)) among += 1
    counts[label]![order[0]!]! += 1
  })
  return { loss: sum, top5: among, matrix: counts }
}

/** The report of a tally. @example reportOf(tally, ['cat', 'dog']).top1 */
export const reportOf = ({ loss, top5, matrix }: Tally, names: readonly string[]): ClassificationReport => {
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)
  const images = sum(matrix.map(sum))
  const classes = names.map((name, at): ClassReport => {
    const [all, correct] = [sum(matrix[at]!), matrix[at]![at]!]
    return { name, images: all, correct, accuracy: all === 0 ? null : correct / all }
  })
  const confusions = names.flatMap((label, at) =>
    names.flatMap((predicted, other) =>
      at !== other && matrix[at]![other]! > 0 ? [{ label, predicted, images: matrix[at]![other]! }] : [],
    ),
  )
  return {
    loss: loss / images,
    top1: sum(classes.map(({ correct }) => correct)) / images,
    top5: top5 / images,
    images,
    classes,
    confusions: confusions.sort((a, b) => b.images - a.images),
  }
}
