import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import * as fc from 'fast-check'
import { generate } from '../../../../src/backend/tfjs/wasm/build-kernels.ts'
import type { WasmRuntime } from '../../../../src/backend/tfjs/wasm/index.ts'
import { arena, load, random, uniform, type Arena } from '../../../support/wasm-runtime.ts'
import { subjects, type Case, type Subject } from '../../../support/wasm-subjects.ts'

const upTo = (max: number) => fc.integer({ min: 1, max })
const shapes = fc.tuple(upTo(7), upTo(40), upTo(40), fc.integer(), fc.integer({ min: 0, max: 3 }))

type Shape = readonly [a: number, b: number, c: number, seed: number, misalignment: number]

const close = (got: number, want: number): boolean =>
  Number.isFinite(want) ? Math.abs(got - want) <= 2e-5 * Math.max(1, Math.abs(want)) : Object.is(got, want)

/** Tests whether a kernel agrees with float64 arithmetic on `seen`, and writes nowhere else. */
const agrees = (
  runtime: WasmRuntime,
  region: Arena,
  subject: Case,
  seen: readonly (Float32Array | Int32Array)[],
  misalignment: number,
): boolean => {
  region.reset(misalignment)
  const inputs = subject.inputs.map(data => region.put(data))
  const outputs = subject.outputs.map(n => region.reserve(n))
  subject.call(runtime.kernels, inputs, outputs)
  const places = subject.inPlace === undefined ? outputs : subject.inPlace.map(i => inputs[i] ?? 0)
  return (
    region.intact() &&
    subject.want(seen).every((values, i) => {
      const got = region.read(places[i] ?? 0, values.length)
      return values.every((want, j) => close(got[j] ?? Number.NaN, want))
    })
  )
}

/** A mutant of the reference: the last element of one input is not a number, or another index. */
const spoiled = (data: Float32Array | Int32Array): Float32Array | Int32Array => {
  const copy = data.slice()
  const last = copy.length - 1
  copy[last] = data instanceof Float32Array ? Number.NaN : (data[last] ?? 0) < 0 ? 0 : -100
  return copy
}

/** Inputs that a kernel's result does not depend on. */
const untested: { readonly [name: string]: readonly number[] } = { fill: [0] }

for (const threads of [1, 2]) {
  describe(`kernels on the heap of ${threads} thread(s)`, () => {
    let runtime: WasmRuntime
    let region: Arena
    before(async () => {
      runtime = await load(threads)
      region = arena(runtime, 1 << 18)
    })
    after(() => {
      region.dispose()
      assert.equal(runtime.core.engine().memory().numTensors, 0)
      runtime.dispose()
    })
    const check = (subject: Subject, shape: Shape, spoil?: number): boolean => {
      const [a, b, c, seed, misalignment] = shape
      const made = subject(a, b, c, random(seed))
      return agrees(
        runtime,
        region,
        made,
        made.inputs.map((data, i) => (i === spoil ? spoiled(data) : data)),
        misalignment,
      )
    }
    for (const [name, subject] of Object.entries(subjects)) {
      it(`${name} = its float64 meaning, at any shape and alignment, and writes nothing else`, () => {
        fc.assert(
          fc.property(shapes, shape => check(subject, shape)),
          { numRuns: 60 },
        )
      })
      it(`${name}: the property notices another last element in any input`, () => {
        subject(1, 1, 1, random(0)).inputs.forEach((_, i) => {
          if (untested[name]?.includes(i) === true) return
          assert.ok(
            fc.check(
              fc.property(shapes, shape => check(subject, shape, i)),
              { numRuns: 60, endOnFailure: true },
            ).failed,
            `input ${i}`,
          )
        })
      })
    }
    it('exp, log, tanh and sigmoid stay within 1e-6 relative over their range', () => {
      const next = random(7)
      const sweep = { exp: [-87, 88], log: [1e-30, 1e30], tanh: [-9, 9], sigmoid: [-80, 80] } as const
      const meaning = { exp: Math.exp, log: Math.log, tanh: Math.tanh, sigmoid: (x: number) => 1 / (1 + Math.exp(-x)) }
      for (const name of ['exp', 'log', 'tanh', 'sigmoid'] as const) {
        region.reset()
        const [low, high] = sweep[name]
        const x =
          name === 'log'
            ? uniform(next, 10001, Math.log(low), Math.log(high)).map(Math.exp)
            : uniform(next, 10001, low, high)
        const [input, output] = [region.put(x), region.reserve(x.length)]
        runtime.kernels[name](input, output, x.length)
        const worst = region.read(output, x.length).reduce((w, y, i) => {
          const want = meaning[name](x[i] ?? 0)
          return Math.max(w, Math.abs(y - want) / Math.max(Math.abs(want), name === 'log' ? 0.1 : 1e-37))
        }, 0)
        assert.ok(worst < 1e-6, `${name}: ${worst}`)
      }
    })
    it('special values come out as in IEEE arithmetic', () => {
      const of = (name: 'exp' | 'log' | 'log1p' | 'tanh' | 'sigmoid' | 'erf', x: number): number => {
        region.reset()
        const [input, output] = [region.put(new Float32Array([x])), region.reserve(1)]
        runtime.kernels[name](input, output, 1)
        return region.read(output, 1)[0] ?? 0
      }
      const table = [
        ['exp', Infinity, Infinity],
        ['exp', -Infinity, 0],
        ['exp', Number.NaN, Number.NaN],
        ['exp', 100, Infinity],
        ['exp', 0, 1],
        ['log', 0, -Infinity],
        ['log', Infinity, Infinity],
        ['log', -1, Number.NaN],
        ['log', Number.NaN, Number.NaN],
        ['log', 1, 0],
        ['log1p', -1, -Infinity],
        ['log1p', Infinity, Infinity],
        ['log1p', -2, Number.NaN],
        ['log1p', Number.NaN, Number.NaN],
        ['log1p', 1e-30, Math.fround(1e-30)],
        ['tanh', Number.NaN, Number.NaN],
        ['tanh', 0, 0],
        ['erf', Number.NaN, Number.NaN],
        ['erf', 0, 0],
        ['erf', Infinity, 1],
        ['erf', -50, -1],
        ['sigmoid', -Infinity, 0],
        ['sigmoid', Infinity, 1],
        ['sigmoid', Number.NaN, Number.NaN],
      ] as const
      for (const [name, x, want] of table) assert.equal(of(name, x), want, `${name}(${x})`)
      assert.ok(Math.abs(of('tanh', 50) - 1) < 1e-6 && Math.abs(of('tanh', -Infinity) + 1) < 1e-6)
    })
    it('softmax of huge logits neither overflows nor divides by zero, and NaN shows', () => {
      region.reset()
      const x = region.put(new Float32Array([3e38, -3e38, 0, 0, -Infinity, Number.NaN, 1]))
      const y = region.reserve(7)
      runtime.kernels.softmax(x, y, 1, 5, 1)
      assert.deepEqual([...region.read(y, 5)], [1, 0, 0, 0, 0])
      runtime.kernels.softmax(x, y, 1, 7, 1)
      assert.ok(region.read(y, 7).every(Number.isNaN))
    })
  })
}

it('building the kernels again gives the same bytes', async () => {
  assert.equal(
    await generate(),
    readFileSync(new URL('../../../../src/backend/tfjs/wasm/kernels.generated.ts', import.meta.url), 'utf8'),
  )
})
