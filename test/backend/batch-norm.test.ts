import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import {
  compile,
  f32,
  init,
  model,
  mul,
  nn,
  scalar,
  sgd,
  sum,
  trainStep,
  type Shape,
  type TargetName,
  type Tensor,
  type Value,
} from '../../src/index.ts'
import { isValue, leaves } from '../../src/compiler.ts'
import { noNode } from '../support/native-library.ts'

/** Batch norm beside PyTorch's: outputs, gradients and running statistics over three steps, and an evaluation. */

interface Data {
  readonly sizes: readonly number[]
  readonly data: readonly number[]
}
interface Step {
  readonly x: Data
  readonly weight: Data
  readonly out: Data
  readonly gradients: Readonly<Record<string, Data>>
}
interface Case {
  readonly momentum: number
  readonly eps: number
  readonly params: { readonly weight: Data; readonly bias: Data }
  readonly steps: readonly (Step & { readonly after: { readonly mean: Data; readonly variance: Data } })[]
  readonly evaluated: Step
}
const cases = JSON.parse(
  await readFile(new URL('../golden/buffers/batch-norm.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, Case>>

const targets: readonly TargetName[] = ['reference', 'cpu', 'wasm', 'node', 'graph']
const missing = (target: TargetName): string | false =>
  (target === 'graph' || target === 'node') && noNode !== undefined ? noNode : false
const isFloats = (leaf: unknown): leaf is Value<Shape> => isValue(leaf) && leaf.dtype === 'f32'

const shapes: Readonly<Record<string, Shape>> = {
  rows: ['batch', 'channels'],
  channelsLast: ['batch', 'height', 'width', 'channels'],
  channelsSecond: ['batch', 'channels', 'height', 'width'],
  farOff: ['batch', 'length', 'channels'],
}
const value = ({ sizes, data }: Data, shape: Shape): Value<Shape> => ({
  shape,
  sizes,
  dtype: 'f32',
  data: Float32Array.from(data),
})
/** Holds numbers against others, relative to the largest of these, or to 1 if that is larger. */
const close = (what: string, found: ArrayLike<number>, wanted: readonly number[], tolerance: number): void => {
  assert.equal(found.length, wanted.length, what)
  const largest = Math.max(1, ...wanted.map(Math.abs))
  wanted.forEach((expected, i) => {
    assert.ok(Math.abs(found[i]! - expected) <= tolerance * largest, `${what}[${i}] is ${found[i]}, not ${expected}`)
  })
}

/** The inputs are a parameter, so that they have a gradient, and the outputs of a training step are a buffer. */
const modelOf = (shape: Shape, { momentum, eps }: Case) => {
  // the shapes of the cases are known to no type
  const leaf = (): Tensor<readonly ['batch', 'channels']> => (f32 as unknown as (...dims: Shape) => never)(...shape)
  return model({
    params: { x: leaf(), norm: nn.BatchNorm('channels') },
    buffers: { norm: nn.RunningStatistics('channels'), seen: leaf() },
    batch: { weight: leaf() },
    forward: (p, _, buffers) => {
      const { outputs, buffers: norm } = nn.batchNorm(p.x, p.norm, buffers.norm, { momentum, eps })
      return { outputs, buffers: { norm, seen: outputs } }
    },
    loss: (outputs, b) => ({ sum: sum(mul(outputs, b.weight)), count: scalar(1) }),
  })
}

for (const target of targets)
  for (const [name, one] of Object.entries(cases)) {
    const tolerance = target === 'reference' ? 1e-5 : 1e-4
    test(`batch norm of ${name} has PyTorch's values on ${target}`, { skip: missing(target) }, async () => {
      const shape = shapes[name]!
      const of = modelOf(shape, one)
      const { sizes } = one.steps[0]!.x
      const dims = Object.fromEntries(shape.map((dim, axis) => [dim, sizes[axis]!]))
      const weights = {
        x: value(one.steps[0]!.x, shape),
        norm: { weight: value(one.params.weight, ['channels']), bias: value(one.params.bias, ['channels']) },
      }
      await using run = await compile(trainStep(of, sgd({ lr: 0 })), {
        target,
        threads: 1,
        weights: weights as never,
        buffers: init.buffers(of, { dims }),
      })
      const checkGradients = async (what: string, { weight, gradients }: Step): Promise<void> => {
        const found = new Map(leaves(await run.gradients({ weight: value(weight, shape) as never }), isFloats))
        assert.deepEqual([...found.keys()].sort(), Object.keys(gradients).sort())
        for (const [path, { data }] of Object.entries(gradients))
          close(`${what}: the gradient of ${path}`, found.get(path)!.data, data, tolerance)
      }
      for (const [i, step] of one.steps.entries()) {
        const what = `step ${i}`
        await run.write({ focus: { x: value(step.x, shape) as never } })
        await checkGradients(what, step)
        await run.step({ weight: value(step.weight, shape) as never })
        const { norm, seen } = await run.buffers()
        close(`${what}: the outputs`, seen.data, step.out.data, tolerance)
        close(`${what}: the mean`, norm.mean.data, step.after.mean.data, tolerance)
        close(`${what}: the variance`, norm.variance.data, step.after.variance.data, tolerance)
      }
      const { x, out } = one.evaluated
      await run.write({ focus: { x: value(x, shape) as never } })
      close('evaluated', (await run.predict({})).data, out.data, tolerance)
    })
  }
