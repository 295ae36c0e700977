import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import * as fc from 'fast-check'
import { planBinary, planPermute, planRepeat, type WasmRuntime } from '../../../../src/backend/tfjs/wasm/index.ts'
import { arena, load, random, uniform, type Arena } from '../../../support/wasm-runtime.ts'

const count = (sizes: readonly number[]): number => sizes.reduce((n, size) => n * size, 1)

/** The coordinates of element i of an array of these sizes. */
const coordinates = (sizes: readonly number[], i: number): number[] =>
  sizes.reduceRight<{ rest: number; found: number[] }>(
    ({ rest, found }, size) => ({ rest: Math.floor(rest / size), found: [rest % size, ...found] }),
    { rest: i, found: [] },
  ).found

const position = (sizes: readonly number[], at: readonly number[]): number =>
  sizes.reduce((n, size, i) => n * size + (at[i] ?? 0), 0)

describe('plans on the heap', () => {
  let runtime: WasmRuntime
  let region: Arena
  before(async () => {
    runtime = await load(1)
    region = arena(runtime, 1 << 18)
  })
  after(() => {
    region.dispose()
    runtime.dispose()
  })

  const permutations = fc.integer({ min: 0, max: 5 }).chain(rank =>
    fc.tuple(
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: rank, maxLength: rank }),
      fc.shuffledSubarray(
        Array.from({ length: rank }, (_, i) => i),
        { minLength: rank, maxLength: rank },
      ),
      fc.integer(),
    ),
  )

  type Meaning = (sizes: readonly number[], permutation: readonly number[], at: readonly number[]) => number

  const permuteAgrees =
    (meaning: Meaning) =>
    ([sizes, permutation, seed]: [number[], number[], number]): boolean => {
      region.reset()
      const x = uniform(random(seed), count(sizes))
      const [input, output] = [region.put(x), region.reserve(x.length)]
      planPermute(runtime.kernels, sizes, permutation)!(input, output)
      const permuted = permutation.map(axis => sizes[axis] ?? 1)
      return (
        region.intact() &&
        region.read(output, x.length).every((y, i) => y === x[meaning(sizes, permutation, coordinates(permuted, i))])
      )
    }
  const numpy: Meaning = (sizes, permutation, at) =>
    position(
      sizes,
      sizes.map((_, axis) => at[permutation.indexOf(axis)] ?? 0),
    )

  it("planPermute = transpose by numpy's rule, for every permutation of up to five axes", () => {
    fc.assert(fc.property(permutations, permuteAgrees(numpy)), { numRuns: 500 })
  })
  it('planPermute: the inverse permutation is another thing', () => {
    const inverse: Meaning = (sizes, permutation, at) =>
      position(
        sizes,
        permutation.map(axis => at[axis] ?? 0),
      )
    assert.ok(fc.check(fc.property(permutations, permuteAgrees(inverse)), { numRuns: 500 }).failed)
  })

  const shapes = fc
    .array(fc.tuple(fc.integer({ min: 1, max: 6 }), fc.constantFrom('both', 'a', 'b')), { maxLength: 5 })
    .chain(axes => fc.tuple(fc.constant(axes), fc.integer({ min: 0, max: axes.length }), fc.integer()))

  const binaryAgrees =
    (swap: boolean) =>
    ([axes, drop, seed]: [[number, string][], number, number]): boolean => {
      region.reset()
      const a = axes.map(([size, where]) => (where === 'b' ? 1 : size))
      // Leading axes of length 1 may be left out.
      const b = axes
        .map(([size, where]) => (where === 'a' ? 1 : size))
        .filter((size, i) => i >= drop || size !== 1 || axes[i]?.[1] !== 'a' || i > 0)
      const out = axes.map(([size]) => size)
      const next = random(seed)
      const [x, y] = [uniform(next, count(a)), uniform(next, count(b))]
      const [p, q, r] = [region.put(x), region.put(y), region.reserve(count(out))]
      planBinary(runtime.kernels.sub, a, b)(p, q, r)
      const pick = (data: Float32Array, sizes: readonly number[], at: readonly number[]): number =>
        data[
          position(
            sizes,
            sizes.map((size, i) => (size === 1 ? 0 : (at[at.length - sizes.length + i] ?? 0))),
          )
        ] ?? Number.NaN
      return (
        region.intact() &&
        region.read(r, count(out)).every((z, i) => {
          const at = coordinates(out, i)
          const [u, v] = [pick(x, a, at), pick(y, b, at)]
          return z === Math.fround(swap ? v - u : u - v)
        })
      )
    }

  it("planBinary = numpy's broadcasting at any rank", () => {
    fc.assert(fc.property(shapes, binaryAgrees(false)), { numRuns: 500 })
  })
  it('planBinary: the order of the arguments matters', () => {
    assert.ok(fc.check(fc.property(shapes, binaryAgrees(true)), { numRuns: 500 }).failed)
  })
  it('planRepeat repeats along axes of length 1 and along new ones, at any rank', () => {
    const repeats = (shift: number) =>
      fc.property(shapes, ([axes, drop]) => {
        region.reset()
        const to = axes.map(([size]) => size)
        const from = axes
          .map(([size, where]) => (where === 'b' ? 1 : size))
          .filter((size, i) => i >= drop || size !== 1)
        const x = Float32Array.from({ length: count(from) }, (_, i) => i)
        const [p, q] = [region.put(x), region.reserve(count(to))]
        // an axis may only be left out in front
        if (from.length < to.length && to.slice(0, to.length - from.length).some((_, i) => axes[i]![1] !== 'b'))
          return true
        planRepeat(runtime.kernels, from, to)(p, q)
        return (
          region.intact() &&
          region.read(q, count(to)).every((y, i) => {
            const at = coordinates(to, i).slice(to.length - from.length)
            return (
              y ===
              position(
                from,
                from.map((size, k) => (size === 1 ? 0 : at[k]!)),
              ) +
                shift
            )
          })
        )
      })
    fc.assert(repeats(0), { numRuns: 300 })
    assert.ok(fc.check(repeats(1), { numRuns: 300 }).failed)
  })
  it('planBinary refuses sizes that differ', () => {
    assert.throws(() => planBinary(runtime.kernels.add, [2, 3], [2, 4]), /broadcast: \[2, 3\] and \[2, 4\] differ/)
  })
})
