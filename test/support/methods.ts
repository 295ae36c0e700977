import {
  adapt,
  add,
  f32,
  i32,
  matmul,
  model,
  mul,
  repeat,
  silu,
  size,
  sub,
  sum,
  take,
  type Method,
  type Dim,
  type Node,
  type Opaque,
  type Shape,
  type Value,
  type Values,
} from '../../src/index.ts'
import {
  methods,
  recordOf,
  count,
  interpret,
  isTensor,
  mapTree,
  tensorsOf,
  type MethodName,
  type MethodArguments,
  type Numbers,
} from '../../src/compiler.ts'
import { assignWeights } from '../../src/backend/weights.ts'
import { randomFrom, sizeIn } from './op-subjects.ts'

/**
 * A small model with the features that methods must support: equal layers, leaves of several widths, a gather, biases, a
 * norm.
 */
const layer = () => ({
  'up': f32('hidden', 'ffn'),
  'up.bias': f32('ffn'),
  'down': f32('ffn', 'hidden'),
  'bias': f32('hidden'),
})
export const small = model({
  params: {
    embed: f32('vocab', 'hidden'),
    layers: [layer(), layer()],
    norm: f32('hidden'),
    head: f32('hidden', 'out'),
  },
  batch: { ids: i32('batch'), y: f32('batch', 'out') },
  forward: (p, { ids }) =>
    matmul(
      mul(
        repeat(p.layers, take(p.embed, ids, 0), (x, l) =>
          add(add(x, matmul(silu(add(matmul(x, l.up), l['up.bias'])), l.down)), l.bias),
        ),
        p.norm,
      ),
      p.head,
    ),
  loss: (logits, { y }) => {
    const off = sub(logits, y)
    return { sum: sum(mul(off, off)), count: size('batch') }
  },
})
export const sizes: Readonly<Record<string, number>> = { vocab: 7, hidden: 12, ffn: 20, out: 5, batch: 6 }

/** Data for a shape, from a seed, within ±scale. */
export const valueOf = (
  shape: Shape,
  seed: number,
  scale = 0.5,
  of: (dim: Dim) => number = sizeIn(sizes),
): Value<Shape> => {
  const random = randomFrom(seed)
  const own = shape.map(of)
  return {
    shape,
    sizes: own,
    dtype: 'f32',
    data: Float32Array.from({ length: count(own) }, () => scale * (2 * random() - 1)),
  }
}
// data for a tree has its structure
export const weights = mapTree(small.params, isTensor, ({ shape }, path) =>
  valueOf(shape, path.length + 31 * Number(/\d/.exec(path)?.[0] ?? 7), path === 'norm' ? 3 : 0.5),
) as Values<typeof small.params>
export const batch: Values<typeof small.batch> = {
  ids: { shape: ['batch'], sizes: [6], dtype: 'i32', data: Int32Array.of(0, 3, 6, 2, 2, 5) },
  y: { ...valueOf(['batch', 'out'], 99), shape: ['batch', 'out'] },
}

/** The methods of the registry, with the arguments that the laws need. */
export const names = Object.keys(methods) as readonly MethodName[]
export const targets: readonly string[] = ['up', 'down']
/** Leaves of the kind that a method tunes. */
const targetsOf = (name: MethodName): readonly string[] =>
  ({ every: targets, linear: targets, products: targets, inputs: targets, norm: ['norm'], bias: ['bias'] })[
    recordOf(name).reach
  ]
export const adapterOf = (name: MethodName, options: Partial<MethodArguments> = {}): Method<Opaque> => {
  const { make }: { readonly make: (of: MethodArguments) => Method<Opaque> } = methods[name]
  return make({ targets: targetsOf(name), rank: 3, alpha: 5, seed: 1, ...options })
}
export const tunedBy = (adapter: Method<Opaque>) => adapt(small, adapter)
export type TunedSmall = ReturnType<typeof tunedBy>

/**
 * The first values of every leaf and index of a tuned model, as a session would assign them, and the sizes that they
 * bind.
 */
export const firstValues = async (tuned: TunedSmall): Promise<ReadonlyMap<Node, Numbers>> => {
  const values = new Map<Node, Numbers>()
  await assignWeights(
    {
      assign: async (leaf, { sizes: of, data }) => {
        values.set(leaf, { sizes: of, data: Float64Array.from(data as ArrayLike<number>) })
      },
    },
    tuned,
    { weights, dims: sizes },
  )
  return values
}

/** The meaning of an expression for values of leaves, which also bind the dims that a method adds. */
export const meant = (root: Node, values: ReadonlyMap<Node, Numbers>): Numbers => {
  const own = {
    ...sizes,
    ...Object.fromEntries(
      [...values].flatMap(([leaf, { sizes: of }]) =>
        leaf.shape.flatMap((dim, i) => (typeof dim === 'string' && !dim.includes('*') ? [[dim, of[i]!]] : [])),
      ),
    ),
  }
  const fed = tensorsOf(small.batch).map(([path, leaf]): readonly [Node, Numbers] => {
    const { sizes: of, data } = batch[path as keyof typeof batch]
    return [leaf, { sizes: of, data: Float64Array.from(data) }]
  })
  return interpret([root], new Map([...values, ...fed]), sizeIn(own))[0]!
}
