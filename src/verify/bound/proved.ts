import { createHash } from 'node:crypto'
import * as E from 'fp-ts/lib/Either.js'
import type { Step } from '../../compile/index.ts'
import type { Node } from '../../tensor/index.ts'
import type { Proved } from '../certificate-format.ts'
import { noBound, type NoBound } from './abstract.ts'
import { largestEigenvalueBound, type Enclosure } from './eigenvalue.ts'
import { evaluated, isOfBatch, ofBatch, type Evaluated, type Run } from './evaluate.ts'
import { gramMatrix, packed, unpacked, type WeightedRows } from './gram.ts'
import { headOf, type Features } from './head.ts'
import { overUp, timesUp } from './rounding.ts'

/** The features of one trained leaf: rows of float32 for each batch. */
interface Columns {
  readonly width: number
  readonly batches: readonly Float32Array[]
}

/** Selects some features of every row. */
const chosen = (width: number, data: Float32Array, index: readonly number[]): Float32Array => {
  const out = new Float32Array((data.length / width) * index.length)
  for (let row = 0; row * width < data.length; row++)
    index.forEach((at, i) => {
      out[row * index.length + i] = data[row * width + at]!
    })
  return out
}

/**
 * The features that trained entries touch. The others are frozen, and untrained entries of an output only extend its
 * Hessian, of which the trained part is a principal submatrix.
 */
const touched = ({ path, entries }: Features, { columns, sizes }: Evaluated): readonly number[] | undefined => {
  const index = columns.get(path)
  const [, outputs] = sizes.get(path) ?? []
  if (entries === undefined || index === undefined || outputs === undefined) return undefined
  return [...new Set(Array.from(index, at => (entries.along === 0 ? Math.floor(at / outputs) : at % outputs)))].sort(
    (a, b) => a - b,
  )
}

const columnsOf = (features: Features, all: Evaluated): Columns => {
  const width = all.values[0]!.sizes.at(-1)!
  const index = touched(features, all)
  return index === undefined
    ? { width, batches: all.values.map(({ data }) => data) }
    : { width: index.length, batches: all.values.map(({ data }) => chosen(width, data, index)) }
}

/** The features of several leaves, concatenated in each row. */
const beside = (parts: readonly (readonly [width: number, data: Float32Array])[]): Float32Array => {
  const width = parts.reduce((sum, [w]) => sum + w, 0)
  const rows = parts[0]![1].length / parts[0]![0]
  const out = new Float32Array(rows * width)
  let from = 0
  for (const [w, data] of parts) {
    for (let row = 0; row < rows; row++) out.set(data.subarray(row * w, (row + 1) * w), row * width + from)
    from += w
  }
  return out
}

const boundOf = (gram: Enclosure, curvature: number, count: number): number => {
  const largest = largestEigenvalueBound(gram)
  return largest === 0 ? 0 : overUp(timesUp(curvature, largest), count)
}

/**
 * A proved upper bound of L_P for the mean loss over some batches: for every value of the trained leaves, the spectral
 * norm of the Hessian inside the focus is at most `value`. It exists if the trained part is a linear, logistic or
 * softmax head over frozen features (Theorem 1's L_P, with P the mask): ‖P H P‖ ≤ curvature · λ_max(Σ |w| x xᵀ) /
 * count, x the trained features of a row. For squared errors it is tight.
 *
 * The features are computed on a target in float32; from them on, everything is bounded in outward-rounded float64.
 * @returns Left with one sentence if the loss is not smooth in the trained part, or no bound is known
 * @throws {SessionError} if a session does not open
 * @example const bound = await provedCurvature(step, { weights, batches: [batch], target: 'wasm' })
 */
export const provedCurvature = async <P, Q, M, S, B, O, K extends string>(
  step: Step<P, Q, M, S, B, O, K>,
  run: Run<P, B>,
): Promise<E.Either<NoBound, Proved>> => {
  const read = headOf(step.tuned)
  if (E.isLeft(read)) return read
  const { losses, count } = read.right
  const { batches, dims = {} } = run
  if (batches.length === 0) return E.left(noBound('there is no batch'))
  if (![count, ...losses.map(({ weights }) => weights)].every(n => isOfBatch(step.tuned.model.batch, n))) {
    return E.left(noBound('the weight of a row depends on more than the batch'))
  }
  // one session for each leaf: its features are the logits
  const known = new Map<Node, Evaluated>()
  const everything = losses.flatMap(({ features }) => features)
  for (const { expression } of everything)
    if (!known.has(expression)) known.set(expression, await evaluated(step, expression, run))
  const all = [...known.values()]
  const sizes = new Map(all.flatMap(one => [...one.sizes]))
  const numbers = batches.map(batch =>
    ofBatch(step, [count, ...losses.map(({ weights }) => weights)], batch, dims, sizes),
  )
  const columns = new Map(everything.map(f => [f, columnsOf(f, known.get(f.expression)!)]))
  // the leaves are concatenated; a loss that does not read a leaf has zeros there
  const widths = new Map(everything.map(f => [f.path, columns.get(f)!.width]))
  const width = [...widths.values()].reduce((sum, w) => sum + w, 0)
  const rows = losses.flatMap(({ features }, k) =>
    batches.map((_, b): WeightedRows => {
      const weights = numbers[b]![k + 1]!.data
      const own = new Map(features.map(f => [f.path, columns.get(f)!.batches[b]!]))
      return {
        width,
        weights,
        features: beside([...widths].map(([path, w]) => [w, own.get(path) ?? new Float32Array(w * weights.length)])),
      }
    }),
  )
  const hash = createHash('sha256')
  for (const { features } of rows)
    hash.update(new Uint8Array(features.buffer, features.byteOffset, features.byteLength))
  const gram = gramMatrix(width, rows)
  const total = numbers.reduce((sum, [n]) => sum + n!.data[0]!, 0)
  const curvature = Math.max(...losses.map(one => one.curvature))
  if (!(total > 0)) return E.left(noBound('the batches have no scored row'))
  const value = boundOf(gram, curvature, total)
  if (!Number.isFinite(value)) return E.left(noBound('the features are not finite'))
  return E.right({
    kind: 'proved',
    value,
    head: [...new Set(losses.map(({ name }) => name))].join(' and '),
    curvature,
    count: total,
    witness: { size: width, gram: packed(gram), radius: gram.radius },
    assumed: [
      `the features are the float32 numbers that ${[...new Set(all.map(one => one.target))].join(' and ')} computed of what is frozen: ` +
        'rounding in them is not bounded',
      'the weights of rows, and what the loss is divided by, are as float64 arithmetic has them',
      `in its logits, the Hessian of the loss of a row is at most ${curvature}`,
    ],
    features: hash.digest('hex'),
  })
}

/**
 * Proves a bound again from its witness alone: the largest eigenvalue of the Gram matrix is bounded again, which gives
 * the same number on every machine.
 * @returns Left with one sentence if the numbers differ from the proved ones
 * @example checkProved(JSON.parse(text)) // Right(undefined)
 */
export const checkProved = ({
  value,
  curvature,
  count,
  features,
  witness: { size, gram, radius },
}: Proved): E.Either<string, void> => {
  const data = unpacked(size, gram)
  if (data === undefined) return E.left(`the witness is no ${size} × ${size} matrix of finite numbers: it was edited`)
  if (!(radius >= 0 && curvature >= 0 && count > 0 && Number.isFinite(radius)))
    return E.left('the witness has a number out of its range: it was edited')
  if (!/^[0-9a-f]{64}$/.test(features)) return E.left('the digest of the features is no SHA-256: it was edited')
  const again = boundOf({ size, data, radius }, curvature, count)
  return again === value
    ? E.right(undefined)
    : E.left(`the witness proves the bound ${again}, and ${value} is stated: one of them was edited`)
}
