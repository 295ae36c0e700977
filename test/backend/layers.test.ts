import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  adapt,
  add,
  compile,
  equal,
  f32,
  full,
  gelu,
  i32,
  integer,
  model,
  mul,
  nn,
  scalar,
  select,
  sgd,
  sum,
  trainStep,
  type Node,
  type Shape,
  type TargetName,
  type Tensor,
  type Value,
} from '../../src/index.ts'
import { isTensor, isValue, leaves, mapTree } from '../../src/compiler.ts'
import { noNode } from '../support/native-library.ts'

/** Results and gradients of every layer, compared with those of PyTorch in float64. */

interface Numbers {
  readonly sizes: readonly number[]
  readonly data: readonly number[]
}
interface Golden {
  readonly leaves: Readonly<Record<string, Numbers>>
  readonly data: Readonly<Record<string, Numbers>>
  readonly weight: Numbers
  readonly out: Numbers
  readonly gradients: Readonly<Record<string, Numbers>>
}
const golden = JSON.parse(readFileSync(new URL('../golden/layers/layers.json', import.meta.url), 'utf8')) as Readonly<
  Record<string, Golden>
>

interface Case {
  readonly params: unknown
  readonly data: Readonly<Record<string, Node>>
  readonly apply: (params: unknown, data: unknown) => Node
}
/** A layer with its leaves and its data, whose types the table forgets. */
const layer = <P, D extends Readonly<Record<string, Node>> = object & Readonly<Record<string, never>>>(
  params: P,
  apply: (params: P, data: D) => Node,
  data?: D,
): Case => ({ params, data: data ?? {}, apply: (p, d) => apply(p as P, d as D) })

const isTrue = <S extends Shape>(x: Tensor<S, 'i32'>): Tensor<S, 'bool'> => equal(x, integer(1))
const qkv = () => ({ q: f32(2, 2, 3, 5), k: f32(2, 2, 4, 5), v: f32(2, 2, 4, 5) })
const square = () => ({ q: f32(2, 2, 4, 5), k: f32(2, 2, 4, 5), v: f32(2, 2, 4, 5) })
const grouped = () => ({ q: f32(2, 6, 4, 5), k: f32(2, 2, 4, 5), v: f32(2, 2, 4, 5) })
const keys = () => ({ keys: i32(2, 4) })

const cases: Readonly<Record<string, Case>> = {
  linear: layer({ x: f32(2, 3, 4), p: nn.Linear(4, 5) }, ({ x, p }) => nn.linear(x, p)),
  withoutBias: layer({ x: f32(3, 4), p: nn.Linear(4, 5, { bias: false }) }, ({ x, p }) => nn.linear(x, p)),
  mlp: layer({ x: f32(3, 4), p: nn.Mlp(4, 6, 2) }, ({ x, p }) => nn.mlp(x, p, gelu)),
  embedding: layer({ p: nn.Embedding(7, 3) }, ({ p }, { ids }) => nn.embedding(ids, p), { ids: i32(2, 3) }),
  layerNorm: layer({ x: f32(2, 3, 6), p: nn.LayerNorm(6) }, ({ x, p }) => nn.layerNorm(x, p)),
  layerNormFarOff: layer({ x: f32(2, 64), p: nn.LayerNorm(64, { bias: false }) }, ({ x, p }) => nn.layerNorm(x, p)),
  standardize: layer({ x: f32(3, 8) }, ({ x }) => nn.standardize(x, { eps: 1e-3 })),
  rmsNorm: layer({ x: f32(2, 3, 6), p: nn.RmsNorm(6) }, ({ x, p }) => nn.rmsNorm(x, p)),
  groupNorm: layer({ x: f32(2, 3, 4, 6), p: nn.GroupNorm(6) }, ({ x, p }) => nn.groupNorm(x, p, { groups: 2 })),
  groupNormOfVectors: layer({ x: f32(3, 8), p: nn.GroupNorm(8) }, ({ x, p }) => nn.groupNorm(x, p, { groups: 2 })),
  position: layer({ x: f32(2, 3, 4), p: nn.Position(5, 4) }, ({ x, p }) => nn.position(x, p)),
  sinusoidal: layer({ x: f32(2, 9, 6) }, ({ x }) => add(x, nn.sinusoidal(9, 6))),
  rotary: layer({ x: f32(2, 2, 5, 6) }, ({ x }) => nn.rotary(x)),
  rotaryLater: layer({ x: f32(2, 5, 8) }, ({ x }) => nn.rotary(x, { base: 500, offset: integer(3) })),
  attend: layer(qkv(), ({ q, k, v }) => nn.attention(q, k, v)),
  attendScaled: layer({ ...qkv(), v: f32(2, 2, 4, 2) }, ({ q, k, v }) => nn.attention(q, k, v, { scale: 0.7 })),
  attendCausal: layer(square(), ({ q, k, v }) => nn.attention(q, k, v, { causal: true })),
  attendKeys: layer(qkv(), ({ q, k, v }, b) => nn.attention(q, k, v, { keyMask: isTrue(b.keys) }), keys()),
  attendMasked: layer(qkv(), ({ q, k, v }, b) => nn.attention(q, k, v, { mask: isTrue(b.mask) }), { mask: i32(3, 4) }),
  attendAdded: layer({ ...qkv(), bias: f32(2, 3, 4) }, ({ q, k, v, bias }) => nn.attention(q, k, v, { mask: bias })),
  attendInfinite: layer(
    qkv(),
    ({ q, k, v }, b) => nn.attention(q, k, v, { mask: select(isTrue(b.mask), 0, -Infinity) }),
    { mask: i32(3, 4) },
  ),
  attendGrouped: layer(grouped(), ({ q, k, v }) => nn.attention(q, k, v, { causal: true })),
  attendGroupedKeys: layer(
    grouped(),
    ({ q, k, v }, b) => nn.attention(q, k, v, { causal: true, keyMask: isTrue(b.keys) }),
    keys(),
  ),
  multiHead: layer(
    {
      x: f32(2, 3, 6),
      context: f32(2, 4, 5),
      p: nn.MultiHeadAttention(6, { heads: 2, headDim: 3, context: 5 }),
    },
    ({ x, context, p }, b) => nn.multiHeadAttention(x, p, { heads: 2, headDim: 3, context, keyMask: isTrue(b.keys) }),
    keys(),
  ),
}

const each = <A>(of: (one: Case, name: string) => A): Readonly<Record<string, A>> =>
  Object.fromEntries(Object.entries(cases).map(([name, one]) => [name, of(one, name)]))

const outputs = each(({ params, data, apply }) => apply(params, data))
const network = model({
  params: each(({ params }) => params),
  batch: { data: each(({ data }) => data), weight: each((_, name) => f32(...outputs[name]!.shape)) },
  forward: (p, b) => each(({ apply }, name) => apply(p[name], b.data[name])),
  loss: (out, { weight }) => ({
    // every output is float32
    sum: Object.entries(out)
      .map(([name, y]) => sum(mul(weight[name]!, y as Tensor<Shape>)))
      .reduce((a, b) => add(a, b)),
    count: scalar(1),
  }),
})

const valueOf = (leaf: Node, { sizes, data }: Numbers): Value<Shape, 'f32' | 'i32'> =>
  leaf.dtype === 'i32'
    ? { shape: leaf.shape, sizes, dtype: 'i32', data: Int32Array.from(data) }
    : { shape: leaf.shape, sizes, dtype: 'f32', data: Float32Array.from(data) }
const at = (path: string): readonly [name: string, rest: string] => {
  const [name = '', ...rest] = path.split('.')
  return [name, rest.join('.')]
}
/** Values for a tree of leaves that begins with the names of the cases; it has the structure of the tree. */
const valuesOf = (tree: unknown, of: (golden: Golden, path: string) => Numbers): never =>
  mapTree(tree, isTensor, (leaf, path) => {
    const [name, rest] = at(path)
    return valueOf(leaf, of(golden[name]!, rest))
  }) as never
const isFloats = (leaf: unknown): leaf is Value<Shape> => isValue(leaf) && leaf.dtype === 'f32'

/** The largest difference, as a share of the largest number; some gradients are 0. */
const off = (found: ArrayLike<number>, expected: readonly number[]): number => {
  const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0.01)
  assert.equal(found.length, expected.length)
  return expected.reduce((most, x, i) => Math.max(most, Math.abs(x - found[i]!)), 0) / largest
}

test('the golden file has every layer of the table, and no other', () => {
  assert.deepEqual(Object.keys(golden).sort(), Object.keys(cases).sort())
})

for (const [target, tolerance] of [
  ['reference', 1e-5],
  ['cpu', 1e-4],
  ['wasm', 1e-4],
  ['graph', 1e-4],
] as const satisfies readonly (readonly [TargetName, number])[])
  test(
    `results and gradients of every layer are PyTorch's, on ${target}`,
    { skip: target === 'graph' && noNode !== undefined ? noNode : false },
    async () => {
      const step = trainStep(adapt(network, full({ targets: ['all'] })), sgd({ lr: 0.1 }))
      await using run = await compile(step, {
        target,
        threads: 1,
        weights: valuesOf(network.params, (of, path) => of.leaves[path]!),
      })
      const batch = {
        data: valuesOf(network.batch.data, (of, path) => of.data[path]!),
        weight: valuesOf(network.batch.weight, of => of.weight),
      }
      const found = await run.predict(batch)
      for (const [name, { data }] of leaves(found, isFloats)) {
        const share = off(data, golden[name]!.out.data)
        assert.ok(share <= tolerance, `the result of ${name} is off by ${share}`)
      }
      const gradients = new Map(leaves(await run.gradients(batch), isFloats))
      for (const [name, { gradients: expected }] of Object.entries(golden))
        for (const [path, { data }] of Object.entries(expected)) {
          const share = off(gradients.get(`${name}.${path}`)!.data, data)
          assert.ok(share <= tolerance, `the gradient of ${name}.${path} is off by ${share}`)
        }
    },
  )
