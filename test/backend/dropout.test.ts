import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  add,
  count,
  dropout,
  f32,
  i32,
  interpret,
  matmul,
  model,
  mul,
  placeholder,
  randomWords,
  repeat,
  size,
  square,
  sub,
  sum,
  tanh,
  u,
  type DataOf,
  type Draw,
  type DType,
  type Node,
  type Shape,
  type Value,
} from '../../src/tensor/index.ts'
import { adamw, adapt, isTensor, mapTree } from '../../src/tune/index.ts'
import { sizing } from '../../src/compile/index.ts'
import { planned } from '../../src/compile/pipeline.ts'
import { compile, type TargetName } from '../../src/backend/index.ts'
import { trainStep } from '../../src/train/step.ts'
import {
  called,
  emptyBody,
  emptyLibrary,
  graphLowerings,
  hasXla,
  loadGraph,
  lowered,
  sizesIn,
  whileLoop,
  type Body,
  type Ref,
} from '../../src/backend/graph/index.ts'
import { randomFrom, sizeIn } from '../support/op-subjects.ts'
import { masked } from '../support/masks.ts'
import { apart } from '../support/distance.ts'
import { native } from '../support/graph-results.ts'
import { devices } from '../support/devices.ts'
import { noNode, nodeTest } from '../support/native-library.ts'
import { arena, withRuntime } from '../support/wasm-runtime.ts'

/** The bits of a draw are the same on every target, and so are the elements that they drop. */

const draws: readonly Draw[] = [
  { seedLow: 0, seedHigh: 0, draw: 0, stream: 0 },
  { seedLow: -123_456_789, seedHigh: 77, draw: 5, stream: -99 },
  { seedLow: 2 ** 31 - 1, seedHigh: -(2 ** 31), draw: 2 ** 31 - 1, stream: -1 },
]
const another: Draw = { ...draws[1]!, draw: 6 }
const shapes: readonly Shape[] = [[1], [3], [4], [17], [64], [3, 5, 7], [1001]]
const key = placeholder([3], 'i32')
const stream = placeholder([1], 'i32')
const keyOf = ({ seedLow, seedHigh, draw }: Draw): Int32Array => Int32Array.of(seedLow, seedHigh, draw)
const wordsFor = (shape: Shape, draw: Draw): Int32Array => randomWords(draw, count(shape.map(Number)))

for (const [title, open] of devices) {
  test(
    `random bits on ${title} are those of Philox, for every shape and draw`,
    { skip: title === 'tfjs node' && noNode !== undefined ? noNode : false },
    async () => {
      const device = await open()
      for (const shape of title.startsWith('tfjs wasm') ? [...shapes, [1_000_003]] : shapes)
        for (const draw of draws) {
          const { plan } = planned([u.randomBits(key, stream, shape)], {
            size: sizeIn({}),
            inPlace: device.traits.inPlace,
          })
          const given = [
            device.upload({ sizes: [3], dtype: 'i32', data: keyOf(draw) }),
            device.upload({ sizes: [1], dtype: 'i32', data: Int32Array.of(draw.stream) }),
          ]
          const [result] = await device.run(plan, given, sizeIn({}))
          const { data } = await device.download(result)
          assert.deepEqual(data, wordsFor(shape, draw))
          assert.notDeepEqual(data, wordsFor(shape, another))
          for (const handle of [...given, result]) device.free(handle)
        }
      await device.dispose()
    },
  )
}

test(
  'the wasm kernel writes the words that it is asked for and no more, at any alignment',
  withRuntime(1, runtime => {
    const region = arena(runtime)
    for (let n = 0; n <= 40; n++)
      for (const misalignment of [0, 1, 2, 3]) {
        region.reset(misalignment)
        const draw = draws[1]!
        const at = [region.put(keyOf(draw)), region.put(Int32Array.of(draw.stream))] as const
        const output = region.reserve(n)
        runtime.kernels.randomBits(...at, output, n)
        assert.deepEqual(region.readInts(output, n), randomWords(draw, n))
        assert.ok(region.intact())
      }
    region.dispose()
  }),
)

interface GraphRun {
  readonly root: Node
  readonly x?: Node
  readonly xla?: boolean
  readonly loops?: number
}
/**
 * The value that a graph computes for an expression over `n` elements; the size is known only when it runs, except to
 * XLA. In a loop, every turn is the next draw.
 */
const onGraph = async (
  n: number,
  draw: Draw,
  { root, x = placeholder(['n'], 'f32'), xla = false, loops = 0 }: GraphRun,
): Promise<ArrayLike<number>> => {
  const main = emptyBody('graph')
  const library = emptyLibrary()
  const types = ['i32', 'i32', 'f32', 'i32'] as const
  const compute = library.define({
    name: 'compute',
    xla,
    parameters: types,
    write: (body, [k, s, v, length]) =>
      lowered(
        graphLowerings,
        [root],
        new Map([
          [key, k!],
          [stream, s!],
          [x, v!],
        ]),
        { body, size: sizesIn(body, () => (xla ? n : length!)), compute: 'f32' },
      ),
  })
  const next = (body: Body, k: Ref): Ref => body.apply('AddV2', [k, body.constant([0, 0, 1], 'i32')])
  const turn = library.define({
    name: 'turn',
    parameters: [...types, root.dtype, 'i32'],
    write: (body, [k, s, v, length, , left]) => [
      next(body, k!),
      s!,
      v!,
      length!,
      called(body, compute, [k!, s!, v!, length!]).outputs[0]!,
      body.apply('Sub', [left!, body.constant(1, 'i32')]),
    ],
  })
  const goesOn = library.define({
    name: 'goesOn',
    parameters: turn.parameters,
    write: (body, parameters) => [body.apply('Less', [body.constant(0, 'i32'), parameters[5]!])],
  })
  const whole = library.define({
    name: 'whole',
    parameters: types,
    write: (body, given) => {
      const y = called(body, compute, given).outputs[0]!
      return [
        loops === 0
          ? y
          : whileLoop(body, goesOn, turn, [next(body, given[0]!), ...given.slice(1), y, body.constant(loops, 'i32')])
              .outputs[4]!,
      ]
    },
  })
  const inputs = Object.fromEntries(
    types.map((type, i) => [`p${i}`, main.apply('Placeholder', [], { dtype: { type } }, { name: `p${i}` })]),
  )
  const [y] = called(main, whole, Object.values(inputs)).outputs
  const graph = await loadGraph(await native(), { main, library, signatures: { run: { inputs, outputs: { y: y! } } } })
  try {
    return graph.run('run', {
      p0: { sizes: [3], dtype: 'i32', data: keyOf(draw) },
      p1: { sizes: [1], dtype: 'i32', data: Int32Array.of(draw.stream) },
      p2: { sizes: [n], dtype: 'f32', data: new Float32Array(n).fill(1) },
      p3: { sizes: [], dtype: 'i32', data: Int32Array.of(n) },
    })['y']!.data
  } finally {
    graph.dispose()
  }
}
const bits = u.randomBits(key, stream, ['n'])

nodeTest(
  'random bits in a graph are those of Philox, with a size that is known when it runs, where many threads share the work, in loops, and compiled by XLA',
  async () => {
    const compilers = (await hasXla(await native())) ? [false, true] : [false]
    for (const xla of compilers)
      for (const n of [1, 3, 17, 1001, 1_500_003])
        for (const draw of n < 1000 ? draws : draws.slice(1, 2)) {
          assert.deepEqual(
            await onGraph(n, draw, { root: bits, xla }),
            randomWords(draw, n),
            `${n} with ${JSON.stringify(draw)}, ${xla ? 'compiled' : 'as it is'}`,
          )
        }
    const draw = draws[1]!
    assert.deepEqual(
      await onGraph(50, draw, { root: bits, loops: 3 }),
      randomWords({ ...draw, draw: draw.draw + 3 }, 50),
    )
    assert.notDeepEqual(
      await onGraph(50, draw, { root: bits, loops: 2 }),
      randomWords({ ...draw, draw: draw.draw + 3 }, 50),
    )
  },
)

nodeTest('dropout in a graph, as it is and compiled, keeps what its meaning keeps', async () => {
  const x = placeholder(['n'], 'f32')
  const root = u.dropout(x, key, stream, { rate: 0.3 })
  const n = 100_003
  const draw = draws[1]!
  const numbers = (data: ArrayLike<number>) => ({ sizes: [data.length], data: Float64Array.from(data) })
  const [expected] = interpret(
    [root],
    new Map([
      [x, numbers(new Float32Array(n).fill(1))],
      [key, numbers(keyOf(draw))],
      [stream, numbers([draw.stream])],
    ]),
    sizeIn({ n }),
  )
  for (const xla of (await hasXla(await native())) ? [false, true] : [false]) {
    assert.deepEqual(
      await onGraph(n, draw, { root, x, xla }),
      Float32Array.from(expected!.data),
      xla ? 'compiled' : 'as it is',
    )
  }
})

/** A model that drops out in every layer; the key comes with the batch. */
const dropping = model({
  params: {
    layers: Array.from({ length: 3 }, () => ({ up: f32('hidden', 'ffn'), down: f32('ffn', 'hidden'), stream: i32(1) })),
  },
  batch: { x: f32('batch', 'hidden'), key: i32(3) },
  forward: ({ layers }, { x, key: k }) =>
    repeat(layers, x, (h, layer) =>
      add(
        h,
        matmul(
          dropout(tanh(matmul(dropout(h, k, layer.stream, { rate: 0.2 }), layer.up)), k, layer.stream, { rate: 0.5 }),
          layer.down,
        ),
      ),
    ),
  loss: (logits, { x }) => ({ sum: sum(square(sub(logits, tanh(x)))), count: mul(size('batch'), 1) }),
})
const dims = { hidden: 5, ffn: 9 }
const trainOn = async (target: TargetName, numbers: readonly number[]) => {
  const random = randomFrom(3)
  const sizeOf = sizing(dims)
  const real = (n: number): Float32Array => Float32Array.from({ length: n }, () => random() - 0.5)
  let streams = 0
  const weights = mapTree(dropping.params, isTensor, ({ shape, dtype }): Value<Shape, DType> => {
    const sizes = shape.map(sizeOf)
    return {
      shape,
      sizes,
      dtype,
      data: (dtype === 'i32' ? Int32Array.of(-7 * ++streams) : real(count(sizes))) as DataOf<DType>,
    }
  })
  const step = trainStep(
    adapt(
      dropping,
      masked(path => (path.endsWith('stream') ? 'frozen' : 'all')),
    ),
    adamw({ lr: 0.01 }),
  )
  await using session = await compile(step, { target, weights: weights as never })
  const x: Value<readonly ['batch', 'hidden']> = {
    shape: ['batch', 'hidden'],
    sizes: [6, 5],
    dtype: 'f32',
    data: real(30),
  }
  const batchOf = (draw: number) => ({
    x,
    key: { shape: [3], sizes: [3], dtype: 'i32', data: Int32Array.of(1, -2, draw) } as const,
  })
  const gradients = await session.gradients(batchOf(numbers[0]!))
  const losses: number[] = []
  for (const draw of numbers) losses.push((await session.step([batchOf(draw)])).loss)
  return { losses, gradients }
}
for (const target of ['cpu', 'node', 'wasm', 'graph'] as const) {
  test(
    `a model with dropout in its layers takes the same steps on ${target} as on reference; another draw is another step`,
    { skip: ['node', 'graph'].includes(target) && noNode !== undefined ? noNode : false },
    async () => {
      const found = await trainOn(target, [0, 1, 2])
      const expected = await trainOn('reference', [0, 1, 2])
      const other = await trainOn('reference', [3, 1, 2])
      found.losses.forEach((loss, i) =>
        assert.ok(
          Math.abs(loss - expected.losses[i]!) < 1e-4 * expected.losses[i]!,
          `step ${i}: ${loss}, not ${expected.losses[i]}`,
        ),
      )
      assert.ok(apart(found.gradients, expected.gradients) < 1e-5)
      assert.ok(apart(found.gradients, other.gradients) > 1e-2)
      assert.ok(Math.abs(found.losses[0]! - other.losses[0]!) > 1e-3)
    },
  )
}
