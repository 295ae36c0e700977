import { readFileSync } from 'node:fs'
import {
  gradients,
  placeholder,
  topological,
  typed,
  whole,
  type Node,
  type Numbers,
  type Shape,
  type Tensor,
} from '../../src/tensor/index.ts'
import * as loss from '../../src/tensor/loss/index.ts'
import * as metric from '../../src/tensor/metric.ts'
import { sizeIn, type Instance } from './op-subjects.ts'

/** Losses and metrics with PyTorch's numbers: subjects for every target. */

interface Nested {
  readonly sizes: readonly number[]
  readonly data: readonly number[]
}
interface Case {
  readonly inputs: readonly Nested[]
  readonly loss: readonly number[]
  readonly gradients: readonly Nested[]
}
interface Golden {
  readonly cases: Readonly<Record<string, Case>>
  readonly labels: readonly number[]
  readonly bits: Nested
  readonly ones: Nested
  readonly ties: Nested
  readonly tied: readonly number[]
  readonly metrics: Readonly<Record<string, readonly number[]>>
}
const golden = JSON.parse(readFileSync(new URL('../golden/losses/losses.json', import.meta.url), 'utf8')) as Golden

const sizes = { six: 6, five: 5, four: 4, three: 3 }
const size = sizeIn(sizes)
const shapeOf = (of: readonly number[]): Shape =>
  of.map(n => Object.entries(sizes).find(([, known]) => known === n)![0])

type Any = Tensor<Shape>
type Rows = Tensor<readonly [...Shape, string]>
type Labels = Tensor<Shape, 'i32'>
const rows = (x: Node): Rows => typed(x)
const leafFor = ({ sizes: of }: Nested): Any => typed(placeholder(shapeOf(of), 'f32'))
const numbersOf = ({ sizes: of, data }: Nested): Numbers => ({ sizes: of, data: Float64Array.from(data) })

const labels: Labels = typed(placeholder(['six'], 'i32'))
const tied: Labels = typed(placeholder(['six'], 'i32'))
const bits = leafFor(golden.bits)
const ones = leafFor(golden.ones)
const ties = leafFor(golden.ties)
/** The leaves that no case differentiates. */
const given: readonly (readonly [Node, Numbers])[] = [
  [labels, numbersOf({ sizes: [6], data: golden.labels })],
  [tied, numbersOf({ sizes: [6], data: golden.tied })],
  [bits, numbersOf(golden.bits)],
  [ones, numbersOf(golden.ones)],
  [ties, numbersOf(golden.ties)],
]

/** The losses by their names in the script. */
const losses: Readonly<Record<string, (a: Any, b: Any) => Node>> = {
  'crossEntropy': x => loss.crossEntropy(rows(x), labels),
  'crossEntropy smoothed': x => loss.crossEntropy(rows(x), labels, { smoothing: 0.1 }),
  'crossEntropy smoothed, wide': x => loss.crossEntropy(rows(x), labels, { smoothing: 0.3 }),
  'sigmoidBinaryCrossEntropy': x => loss.sigmoidBinaryCrossEntropy(x, bits),
  'squaredError': loss.squaredError,
  'absoluteError': loss.absoluteError,
  'huber': (a, b) => loss.huber(a, b),
  'huber 0.5': (a, b) => loss.huber(a, b, { delta: 0.5 }),
  'hinge': x => loss.hinge(x, ones),
  'focal': x => loss.focal(x, bits),
  'focal 1.5, 0.25': x => loss.focal(x, bits, { gamma: 1.5, alpha: 0.25 }),
  'focal, wide': x => loss.focal(x, bits, { alpha: 0.25 }),
  'klDivergence': (q, p) => loss.klDivergence(rows(q), rows(p)),
  'cosineDistance': (a, b) => loss.cosineDistance(rows(a), rows(b)),
  'contrastive': x => loss.contrastive(typed(x)),
}

/** An expression with its leaves, and PyTorch's numbers for it. */
export interface Program extends Instance {
  readonly what: string
  readonly wanted: readonly number[]
}
const programOf = (
  what: string,
  root: Node,
  wanted: readonly number[],
  more: readonly (readonly [Node, Numbers])[] = [],
): Program => {
  const read = new Set(topological([root]))
  const feeds = new Map([...given, ...more].filter(([leaf]) => read.has(leaf)))
  return { what, root, wanted, leaves: [...feeds.keys()], differentiable: [], feeds, sizes, size }
}

/** A loss, and its gradients with the weights 1, 2, 3, …. */
const ofCase = (name: string, { inputs, loss: wanted, gradients: slopes }: Case): readonly Program[] => {
  const leaves = inputs.map(leafFor)
  const [a, b] = leaves
  const root = losses[name]!(a!, b ?? a!)
  const weights = placeholder(root.shape, 'f32')
  const feeds: readonly (readonly [Node, Numbers])[] = [
    ...leaves.map((leaf, i) => [leaf, numbersOf(inputs[i]!)] as const),
    [weights, numbersOf({ sizes: root.shape.map(size), data: wanted.map((_, i) => i + 1) })],
  ]
  const found = gradients([root], [weights], leaves.map(whole)).gradients
  return [
    programOf(name, root, wanted, feeds),
    ...found.map((gradient, i) => programOf(`gradient ${i} of ${name}`, gradient, slopes[i]!.data, feeds)),
  ]
}

const ofMetrics = (): readonly Program[] => {
  const { metrics, cases } = golden
  const logits = leafFor(cases['crossEntropy']!.inputs[0]!)
  const scores = leafFor(cases['sigmoidBinaryCrossEntropy']!.inputs[0]!)
  const more: readonly (readonly [Node, Numbers])[] = [
    [logits, numbersOf(cases['crossEntropy']!.inputs[0]!)],
    [scores, numbersOf(cases['sigmoidBinaryCrossEntropy']!.inputs[0]!)],
  ]
  const precision = metric.precision(scores, bits)
  const recall = metric.recall(scores, bits)
  return (
    [
      ['accuracy', metric.accuracy(rows(ties), tied), metrics['accuracy']!],
      ['top 2', metric.topK(rows(ties), tied, 2), metrics['top 2']!],
      ['top 3', metric.topK(rows(ties), tied, 3), metrics['top 3']!],
      ['logits accuracy', metric.accuracy(rows(logits), labels), metrics['logits accuracy']!],
      ['logits top 2', metric.topK(rows(logits), labels, 2), metrics['logits top 2']!],
      ['binary', metric.binaryAccuracy(scores, bits), metrics['binary']!],
      ['precision, found', precision.sum, [metrics['precision']![0]!]],
      ['precision, all', precision.count, [metrics['precision']![1]!]],
      ['recall, found', recall.sum, [metrics['recall']![0]!]],
      ['recall, all', recall.count, [metrics['recall']![1]!]],
    ] as const
  ).map(([what, root, wanted]) => programOf(what, root, wanted, more))
}

/** Every loss with its gradients, and every metric. */
export const lossPrograms: readonly Program[] = [
  ...Object.entries(golden.cases).flatMap(([name, found]) => ofCase(name, found)),
  ...ofMetrics(),
]

/** The first number that differs from PyTorch's by more than a tolerance, in words. */
export const differenceOf = (
  { what, wanted }: Program,
  found: ArrayLike<number>,
  tolerance: number,
): string | undefined => {
  if (found.length !== wanted.length) return `${what}: there are ${found.length} numbers, not ${wanted.length}`
  const unit = Math.max(1, ...wanted.map(Math.abs))
  const at = wanted.findIndex((x, i) => !(Math.abs(found[i]! - x) <= tolerance * unit))
  return at < 0 ? undefined : `${what}: number ${at} is ${found[at]}, not ${wanted[at]}`
}
