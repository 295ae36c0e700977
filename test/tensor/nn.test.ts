import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  attention,
  causalSoftmax,
  crossEntropy,
  f32,
  gelu,
  i32,
  integer,
  interpret,
  rmsNorm,
  rope,
  silu,
  softmax,
  type Node,
  type Numbers,
} from '../../src/tensor/index.ts'
import { randomFrom, sizeIn } from '../support/op-subjects.ts'
import { near } from '../support/calculus.ts'

/**
 * Compares each layer with its formula, written as loops over plain arrays. A mutant of the formula must be
 * distinguished.
 */

const evaluated = (root: Node, ...feeds: readonly (readonly [Node, readonly number[]])[]): readonly number[] => [
  ...interpret(
    [root],
    new Map(
      feeds.map(([leaf, data]): [Node, Numbers] => [
        leaf,
        { sizes: leaf.shape.map(Number), data: Float64Array.from(data) },
      ]),
    ),
    sizeIn({}),
  )[0]!.data,
]
const reals = (n: number, seed: number, scale = 2): readonly number[] => {
  const random = randomFrom(seed)
  return Array.from({ length: n }, () => scale * (2 * random() - 1))
}
const same = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((v, i) => near(v, b[i]!, 1e-12))
const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)
const total = (x: readonly number[]): number => x.reduce((sum, v) => sum + v, 0)
const chunks = (x: readonly number[], n: number): readonly (readonly number[])[] =>
  range(x.length / n).map(i => x.slice(i * n, (i + 1) * n))

const small = fc.integer({ min: 1, max: 5 })
const seeds = fc.integer()
/** A layer computes its formula, and not a wrong one. */
const law = <A extends unknown[]>(
  name: string,
  args: { readonly [K in keyof A]: fc.Arbitrary<A[K]> },
  computed: (...args: A) => readonly number[],
  formula: (...args: A) => readonly number[],
  mutant: (...args: A) => readonly number[],
): void => {
  const property = (of: (...args: A) => readonly number[]) =>
    fc.property(fc.tuple<A>(...args), values => same(computed(...values), of(...values)))
  test(name, () => {
    fc.assert(property(formula))
  })
  test(`${name}: a mutant is refuted`, () => {
    assert.equal(fc.check(property(mutant), { numRuns: 200 }).failed, true)
  })
}

const softmaxOf = (row: readonly number[]): readonly number[] => {
  const e = row.map(Math.exp)
  const sum = total(e)
  return e.map(v => v / sum)
}
law(
  'softmax normalises the exponentials of a row',
  [small, small, seeds],
  (n, c, seed) => {
    const x = f32(n, c)
    return evaluated(softmax(x), [x, reals(n * c, seed)])
  },
  (n, c, seed) => chunks(reals(n * c, seed), c).flatMap(softmaxOf),
  (n, c, seed) => softmaxOf(reals(n * c, seed)),
)

test('softmax and cross-entropy do not overflow, and depend on differences alone', () => {
  const x = f32(3)
  const label = i32()
  const logits = [1000, 1001, -1e30]
  const shifted = [0, 1, -1e30]
  assert.ok(same(evaluated(softmax(x), [x, logits]), evaluated(softmax(x), [x, shifted])))
  assert.ok(same(evaluated(crossEntropy(x, label), [x, logits], [label, [0]]), [Math.log(1 + Math.E)]))
})

const causal = (
  n: number,
  queries: number,
  keys: number,
  offset: number,
  seed: number,
  sees: (query: number, key: number) => boolean,
): readonly number[] =>
  chunks(reals(n * queries * keys, seed), keys).flatMap((row, i) => {
    const visible = row.filter((_, key) => sees((i % queries) + offset, key))
    const weights = softmaxOf(visible)
    return row.map((_, key) =>
      sees((i % queries) + offset, key) ? weights[range(key).filter(k => sees((i % queries) + offset, k)).length]! : 0,
    )
  })
law(
  'a query sees the keys up to its own position, and no other',
  [small, small, small, fc.integer({ min: 0, max: 3 }), seeds],
  (n, queries, keys, offset, seed) => {
    const x = f32(n, queries, keys)
    return evaluated(causalSoftmax(x, integer(offset)), [x, reals(n * queries * keys, seed)])
  },
  (n, queries, keys, offset, seed) => causal(n, queries, keys, offset, seed, (query, key) => key <= query),
  (n, queries, keys, offset, seed) => causal(n, queries, keys, offset, seed, (query, key) => key <= query + 1),
)

law(
  'rmsNorm divides by the root of the mean square, epsilon inside',
  [small, small, seeds, fc.double({ min: 1e-6, max: 0.1, noNaN: true })],
  (n, c, seed, epsilon) => {
    const x = f32(n, c)
    const g = f32(c)
    return evaluated(rmsNorm(x, g, epsilon), [x, reals(n * c, seed)], [g, reals(c, seed + 1)])
  },
  (n, c, seed, epsilon) =>
    chunks(reals(n * c, seed), c).flatMap(row =>
      row.map((v, i) => (v * reals(c, seed + 1)[i]!) / Math.sqrt(total(row.map(u => u * u)) / c + epsilon)),
    ),
  (n, c, seed, epsilon) =>
    chunks(reals(n * c, seed), c).flatMap(row =>
      row.map((v, i) => (v * reals(c, seed + 1)[i]!) / (Math.sqrt(total(row.map(u => u * u)) / c) + epsilon)),
    ),
)

/** As Hugging Face: x cos + rotate_half(x) sin, with tables of both halves. */
const rotated = (
  n: number,
  s: number,
  half: number,
  seed: number,
  partner: (i: number) => number,
): readonly number[] => {
  const angle = reals(s * half, seed + 1, Math.PI)
  return chunks(reals(n * s * 2 * half, seed), 2 * half).flatMap((row, at) =>
    row.map((v, i) => {
      const a = angle[(at % s) * half + (i % half)]!
      return v * Math.cos(a) + (i < half ? -1 : 1) * row[partner(i)]! * Math.sin(a)
    }),
  )
}
law(
  'rope turns the pairs that stand half a head apart',
  [small, small, small, seeds],
  (n, s, half, seed) => {
    const x = f32(n, s, 2 * half)
    const cos = f32(s, half)
    const sin = f32(s, half)
    const angle = reals(s * half, seed + 1, Math.PI)
    return evaluated(
      rope(x, cos, sin),
      [x, reals(n * s * 2 * half, seed)],
      [cos, angle.map(Math.cos)],
      [sin, angle.map(Math.sin)],
    )
  },
  (n, s, half, seed) => rotated(n, s, half, seed, i => (i + half) % (2 * half)),
  // neighbours, as the original paper has them
  (n, s, half, seed) => rotated(n, s, half, seed, i => i ^ 1),
)

interface Heads {
  readonly b: number
  readonly h: number
  readonly g: number
  readonly q: number
  readonly k: number
  readonly d: number
}
const heads: fc.Arbitrary<Heads> = fc.record({
  b: fc.integer({ min: 1, max: 2 }),
  h: fc.integer({ min: 1, max: 2 }),
  g: fc.integer({ min: 1, max: 3 }),
  q: fc.integer({ min: 1, max: 3 }),
  k: fc.integer({ min: 1, max: 4 }),
  d: fc.integer({ min: 1, max: 3 }),
})
const attended = (
  { b, h, g, q, k, d }: Heads,
  offset: number,
  seed: number,
  keyHead: (head: number) => number,
): readonly number[] => {
  const queries = chunks(reals(b * h * g * q * d, seed), d)
  const keys = chunks(reals(b * h * k * d, seed + 1), d)
  const values = chunks(reals(b * h * k * d, seed + 2), d)
  return queries.flatMap((query, at) => {
    const position = at % q
    const head = Math.floor(at / q) % (h * g)
    const first = (Math.floor(at / (q * g * h)) * h + keyHead(head)) * k
    const seen = Math.min(k, position + offset + 1)
    const weights = softmaxOf(range(seen).map(j => total(query.map((v, i) => v * keys[first + j]![i]!))))
    return range(d).map(i => total(weights.map((w, j) => w * values[first + j]![i]!)))
  })
}
law(
  'groups of query heads read one key-value head, causally',
  [heads, fc.integer({ min: 0, max: 2 }), seeds],
  ({ b, h, g, q, k, d }, offset, seed) => {
    const query = f32(b, h, g, q, d)
    const key = f32(b, h, k, d)
    const value = f32(b, h, k, d)
    return evaluated(
      attention(query, key, value, integer(offset)),
      [query, reals(b * h * g * q * d, seed)],
      [key, reals(b * h * k * d, seed + 1)],
      [value, reals(b * h * k * d, seed + 2)],
    )
  },
  (of, offset, seed) => attended(of, offset, seed, head => Math.floor(head / of.g)),
  (of, offset, seed) => attended(of, offset, seed, head => head % of.h),
)

law(
  'cross-entropy is the logarithm of what the softmax gives the label',
  [small, small, seeds],
  (n, c, seed) => {
    const x = f32(n, c)
    const labels = i32(n)
    return evaluated(
      crossEntropy(x, labels),
      [x, reals(n * c, seed)],
      [labels, range(n).map(i => (i + (seed % c) + c) % c)],
    )
  },
  (n, c, seed) => chunks(reals(n * c, seed), c).map((row, i) => -Math.log(softmaxOf(row)[(i + (seed % c) + c) % c]!)),
  (n, c, seed) => chunks(reals(n * c, seed), c).map((row, i) => -Math.log2(softmaxOf(row)[(i + (seed % c) + c) % c]!)),
)

law(
  'silu is x times its sigmoid',
  [small, seeds],
  (n, seed) => {
    const x = f32(n)
    return evaluated(silu(x), [x, reals(n, seed)])
  },
  (n, seed) => reals(n, seed).map(v => v / (1 + Math.exp(-v))),
  (n, seed) => reals(n, seed).map(v => v / (1 + Math.exp(v))),
)

test('gelu is x times the normal distribution function, exactly: not its tanh approximation', () => {
  const x = f32(4)
  const [a, b, c, d] = evaluated(gelu(x), [x, [-1, 0, 1, 3]])
  // Φ(1) = 0.8413447460685429, Φ(3) = 0.9986501019683699; the approximation gives 0.8411919906082768 at 1
  for (const [found, due] of [
    [a, -0.158655253931457],
    [b, 0],
    [c, 0.8413447460685429],
    [d, 2.99595030590511],
  ]) {
    assert.ok(Math.abs(found! - due!) < 1e-13, `${found} is not ${due}`)
  }
})
