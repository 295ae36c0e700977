import {
  adapt,
  scalar,
  sgd,
  trainStep,
  type Method,
  type Dim,
  type Model,
  type Node,
  type Reparametrisation,
  type Shape,
  type Value,
} from '../../src/index.ts'
import { declaredOf, lossOrNothing } from '../../src/compile/index.ts'
import {
  alongGradient,
  bindDims,
  count,
  gradients,
  interpret,
  isValue,
  leaves,
  lensOf,
  maskedLeaves,
  placeholder,
  sizing,
  tensorsOf,
  type Numbers,
} from '../../src/compiler.ts'

/**
 * The Hessian of the mean loss inside the trained part, in float64, written out; and its largest absolute eigenvalue.
 */

/** Any model, adapter and batch whose types a test does not need. */
export type AnyModel = Model<unknown, unknown, Node>
export interface Case {
  readonly model: AnyModel
  readonly adapter: Method<Reparametrisation>
  readonly weights: unknown
  readonly batches: readonly unknown[]
}

export const stepOf = ({ model, adapter }: Pick<Case, 'model' | 'adapter'>) =>
  trainStep(adapt(model, adapter), sgd({ lr: 0.1 }))

const numbersOf = ({ sizes, data }: Value<Shape>): Numbers => ({ sizes, data: Float64Array.from(data) })
const feed = (tree: unknown, values: unknown): readonly (readonly [Node, Value<Shape>])[] => {
  const found = new Map(leaves<Value<Shape>>(values, (leaf): leaf is Value<Shape> => isValue(leaf)))
  return tensorsOf(tree).flatMap(([path, leaf]) => (found.has(path) ? [[leaf, found.get(path)!] as const] : []))
}

/** The Hessian of Σ of sums / Σ of counts over the batches; the trained leaves are those of the model. */
export const hessian = ({
  model,
  adapter,
  weights,
  batches,
}: Case): { readonly size: number; readonly data: Float64Array } => {
  const tuned = adapt(model, adapter)
  const { params, mask, selections } = tuned
  const trained = maskedLeaves(params, mask).flatMap(({ leaf, mask: m }) => lensOf(m, leaf)?.wanted(leaf) ?? [])
  const loss = lossOrNothing(declaredOf(tuned))
  const fed = feed(model.params, weights)
  const tangents = trained.map(wanted => {
    const { shape } = wanted.get(wanted.leaf, wanted.index)
    return placeholder(shape, 'f32')
  })
  const products = gradients(
    alongGradient([loss.sum], [scalar(1)], trained, tangents).slice(0, 1),
    [scalar(1)],
    trained,
  ).gradients
  const indices = selections.map(({ path, index, choose }) => {
    const data = choose(fed[tensorsOf(model.params).findIndex(([p]) => p === path)]![1])
    return [index, { sizes: [data.length], data: Float64Array.from(data) }] as const
  })
  let total = 0
  let sum: Float64Array | undefined
  let size = 0
  for (const batch of batches) {
    const all = [...fed, ...feed(model.batch, batch)]
    const chosen = indices.map(([{ shape }, { sizes }]) => ({ where: 'an index', shape, sizes }))
    const at = sizing(
      bindDims([
        ...chosen,
        ...all.map(([leaf, { sizes }], i) => ({ where: `input ${i}`, shape: leaf.shape, sizes })),
        ...Object.entries(model.dims ?? {}).map(([name, n]) => ({ where: 'the model', shape: [name], sizes: [n] })),
      ]),
      model.capacities,
    )
    const feeds = new Map<Node, Numbers>([...all.map(([leaf, value]) => [leaf, numbersOf(value)] as const), ...indices])
    const zeros = tangents.map(({ shape }) => {
      const sizes = shape.map((dim: Dim) => at(dim))
      return { sizes, data: new Float64Array(count(sizes)) }
    })
    size = zeros.reduce((n, { data }) => n + data.length, 0)
    sum ??= new Float64Array(size * size)
    total += interpret([loss.count], feeds, at)[0]!.data[0]!
    for (let column = 0; column < size; column++) {
      let before = 0
      const units = zeros.map(({ sizes, data }): Numbers => {
        const own = column - before
        before += data.length
        return { sizes, data: data.map((_, i) => (i === own ? 1 : 0)) }
      })
      const found = interpret(
        products,
        new Map<Node, Numbers>([...feeds, ...tangents.map((t, i) => [t, units[i]!] as const)]),
        at,
      )
      found
        .flatMap(({ data }) => [...data])
        .forEach((x, row) => {
          sum![row * size + column]! += x
        })
    }
  }
  return { size, data: sum!.map(x => x / total) }
}

/** The largest absolute eigenvalue of a symmetric matrix, by Jacobi's rotations. */
export const spectralNorm = ({ size, data }: { readonly size: number; readonly data: Float64Array }): number => {
  const a = data.slice()
  const at = (i: number, j: number): number => a[i * size + j]!
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0
    for (let p = 0; p < size; p++) {
      for (let q = p + 1; q < size; q++) {
        off += at(p, q) ** 2
        if (at(p, q) === 0) continue
        const theta = (at(q, q) - at(p, p)) / (2 * at(p, q))
        const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.hypot(theta, 1))
        const c = 1 / Math.hypot(t, 1)
        const s = t * c
        for (let k = 0; k < size; k++) {
          const x = at(k, p)
          const y = at(k, q)
          a[k * size + p] = c * x - s * y
          a[k * size + q] = s * x + c * y
        }
        for (let k = 0; k < size; k++) {
          const x = at(p, k)
          const y = at(q, k)
          a[p * size + k] = c * x - s * y
          a[q * size + k] = s * x + c * y
        }
      }
    }
    if (off < 1e-30) break
  }
  return Array.from({ length: size }, (_, i) => Math.abs(at(i, i))).reduce((most, x) => Math.max(most, x), 0)
}
