import * as R from 'fp-ts/lib/Record.js'
import { mul, sub, type Numbers } from '../src/tensor/index.ts'
import { adapt, isValue, mapTree, sgd } from '../src/tune/index.ts'
import { trainStep } from '../src/train/index.ts'
import { compile, deviceEngine, openSession, referenceDevice, type Buffer } from '../src/backend/index.ts'
import { scaleOf } from './descent.ts'
import { choosing, leavesOf, mistaken, type Choice, type Mistake } from './layout.ts'
import type { Datum, Term } from './losses.ts'
import { norm } from './matrices.ts'
import { modelOf, valueFrom, type Problem } from './problem.ts'
import { float32, float64, type Moved } from './rounding.ts'

/** The theorem on sessions: a step that `compile` made, on the targets themselves. */

type Data = Term['data']
export type On = 'reference' | 'cpu' | 'wasm'
export const unitOf = (target: On): number => (target === 'reference' ? float64 : float32)

/** η = steps · unit, a multiple of a power of two near 1/(32 L_P): exact on every target. */
const unit = (problem: Problem): number => 2 ** (Math.floor(-Math.log2(scaleOf(problem))) - 5)
/** Step sizes go from −128 to 256 units. */
const offset = 128

const keyOf = ({ sizes, data }: Pick<Buffer, 'sizes' | 'data'>): string => `${sizes.join()}: ${data.join()}`

/**
 * The reference target in float64: its inputs are taken for the data that a caller rounded to float32, and its results
 * are read unrounded, although its own download rounds them to the type of a checkpoint.
 */
const exactReference = () => {
  const device = referenceDevice()
  const exact = new Map<string, Float64Array>()
  return {
    remember: ({ sizes, data }: Numbers): void => {
      exact.set(keyOf({ sizes, data: Float32Array.from(data) }), data)
    },
    engine: deviceEngine<Parameters<typeof device.free>[0]>({
      ...device,
      // buffers of float64 data: sessions only map over the data they read
      upload: buffer =>
        device.upload({ ...buffer, data: (exact.get(keyOf(buffer)) ?? buffer.data) as Float32Array<ArrayBuffer> }),
      download: ({ numbers, dtype }) =>
        Promise.resolve({ sizes: numbers.sizes, dtype, data: numbers.data as unknown as Float32Array<ArrayBuffer> }),
    }),
  }
}

/** The trained part of a leaf, taken by hand. */
const partOf = ({ kind, index, rows }: Choice, { data, sizes: [, outputs] }: Numbers): Float32Array => {
  if (kind === 'entries') return Float32Array.from(index, e => data[e]!)
  return Float32Array.from(
    (kind === 'columns' ? index : [...Array(rows).keys()]).flatMap(i =>
      Array.from(data.slice(i * outputs!, (i + 1) * outputs!)),
    ),
  )
}

/**
 * Opens a session of a problem. The returned function takes a step from a point that differs from the problem's in the
 * trained part, and reports it. Gradients are those that the step itself follows; W is read as the model's logits,
 * which are W, frozen elements included.
 */
export const steppingOn = async (target: On, problem: Problem, mistake?: Mistake) => {
  const made = modelOf(problem)
  const units = unit(problem)
  const step = trainStep(adapt(made, choosing(problem, mistake)), sgd({ lr: count => mul(sub(count, offset), units) }))
  // trees whose shapes only the run knows
  const weights = { layers: leavesOf(problem, problem.at).map(leaf => ({ w: valueFrom(leaf) })) } as never
  const reference = exactReference()
  const session = await (target === 'reference'
    ? openSession(step, reference.engine, { weights })
    : compile(step, { target, threads: 1, weights }))
  const given = (datum: Datum) => {
    reference.remember(datum)
    return valueFrom(datum, datum.dtype)
  }
  const batchOf = (data: readonly Data[]) => ({ terms: data.map(R.map(given)) }) as never
  const own = problem.terms.map(({ data }) => data)
  const batch = batchOf(own)
  const first = await session.read()
  const paths = new Map(
    problem.leaves.map((choice, i) => [`layers.${i}.w`, { choice: mistaken(choice, problem.outputs, mistake), i }]),
  )
  const valuesIn = (tree: unknown): readonly Numbers[] => {
    const found: Numbers[] = []
    mapTree(tree, isValue, value => {
      found.push({ sizes: value.sizes, data: Float64Array.from(value.data) })
      return value
    })
    return found
  }
  const loss = async (): Promise<number> => {
    const { sum, count } = await session.evaluate(batch)
    return sum / count
  }
  const weight = async (): Promise<Numbers> => {
    const [w] = valuesIn(await session.predict(batch))
    return w!
  }
  return {
    /** A step of `units` from a point, along the gradient for other data than the problem's if given. */
    run: async (
      steps: number,
      from: Numbers,
      along: readonly Data[] = own,
    ): Promise<Moved & { readonly partial: readonly Numbers[] }> => {
      const parts = leavesOf(problem, from)
      await session.write({
        focus: mapTree(first.focus, isValue, (value, path) => {
          const { choice, i } = paths.get(path)!
          return { ...value, data: partOf(choice, parts[i]!) }
        }) as typeof first.focus,
        state: mapTree(first.state, isValue, value => ({
          ...value,
          data: Int32Array.of(steps + offset),
        })) as typeof first.state,
      })
      const at = await weight()
      const before = await loss()
      const followed = batchOf(along)
      const partial = valuesIn(await session.gradients(followed))
      await session.step([followed])
      return {
        eta: steps * units,
        gradientNorm: norm(...partial),
        partial,
        at,
        next: await weight(),
        before,
        after: await loss(),
      }
    },
    close: () => session[Symbol.asyncDispose](),
  }
}
