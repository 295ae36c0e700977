import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { likeliest, outcomesOf, reportOf } from '../../src/program/classification.ts'

const classes = 7
const names = Array.from({ length: classes }, (_, i) => `class ${i}`)
const images = fc.array(
  fc.record({
    logits: fc.array(fc.integer({ min: -20, max: 20 }), { minLength: classes, maxLength: classes }),
    label: fc.nat(classes - 1),
  }),
  { minLength: 1, maxLength: 20 },
)
type Images = readonly { readonly logits: readonly number[]; readonly label: number }[]

const batchOf = (of: Images) => ({
  logits: { sizes: [of.length, classes], data: Float32Array.from(of.flatMap(({ logits }) => logits)) },
  labels: Int32Array.from(of, ({ label }) => label),
})
const reported = (...batches: readonly Images[]) =>
  reportOf(
    batches.flatMap(of => {
      const { logits, labels } = batchOf(of)
      return outcomesOf(logits, labels)
    }),
    names,
  )

/** The measures from their definitions. */
const defined = (of: Images) => {
  const place = ({ logits, label }: Images[number]): number =>
    logits.filter((logit, i) => logit > logits[label]! || (logit === logits[label] && i < label)).length
  const part = (test: (image: Images[number]) => boolean): number => of.filter(test).length / of.length
  const probability = ({ logits, label }: Images[number]): number =>
    1 / logits.reduce((sum, logit) => sum + Math.exp(logit - logits[label]!), 0)
  return {
    top1: part(image => place(image) === 0),
    top5: part(image => place(image) < 5),
    loss: of.reduce((sum, image) => sum - Math.log(probability(image)), 0) / of.length,
  }
}
const near = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-9 * (1 + Math.abs(b))

test('the measures of a report are their definitions, and its classes and mistakes add up to all images', () => {
  fc.assert(
    fc.property(images, of => {
      const report = reported(of)
      const due = defined(of)
      const right = report.classes.reduce((sum, { correct }) => sum + correct, 0)
      const wrong = report.confusions.reduce((sum, { images: n }) => sum + n, 0)
      return (
        near(report.loss, due.loss) &&
        near(report.top1, due.top1) &&
        near(report.top5, due.top5) &&
        report.images === of.length &&
        right + wrong === of.length &&
        report.classes.every(({ name, images: n }) => n === of.filter(({ label }) => names[label] === name).length)
      )
    }),
  )
})
test('the report of two batches is that of both as one', () => {
  fc.assert(
    fc.property(images, images, (one, other) => {
      const { loss, ...rest } = reported(one, other)
      const { loss: whole, ...all } = reported([...one, ...other])
      return near(loss, whole) && JSON.stringify(rest) === JSON.stringify(all)
    }),
  )
})
test('probabilities add up to 1, in falling order, without overflow', () => {
  const { logits } = batchOf([{ logits: [1000, 999, -1000, 0, 0, 0, 0], label: 0 }])
  const [found] = likeliest(logits, names, classes)
  assert.ok(
    near(
      found!.reduce((sum, { probability }) => sum + probability, 0),
      1,
    ),
  )
  assert.deepEqual(
    found!.slice(0, 2).map(({ name, probability }) => [name, probability.toFixed(3)]),
    [
      ['class 0', '0.731'],
      ['class 1', '0.269'],
    ],
  )
})
