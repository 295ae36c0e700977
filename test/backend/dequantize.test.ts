import assert from 'node:assert/strict'
import { test } from 'node:test'
import { footprintOf, sizing } from '../../src/compile/index.ts'
import { preparedKeys, type Preparations } from '../../src/compile/prepare.ts'
import { compileProgram, planned } from '../../src/compile/pipeline.ts'
import {
  dequantize,
  expressionKeys,
  f32,
  i32,
  model,
  node,
  placeholder,
  repeat,
  scalar,
  square,
  sum,
  typed,
  whole,
  u,
  type Dim,
  type DType,
  type Node,
  type Op,
  type PackedNodes,
  type Quantization,
  type Shape,
  type Tensor,
  type Value,
  sumAndCount,
} from '../../src/tensor/index.ts'
import { dequantizeOp } from '../../src/tensor/op/dequantize.ts'
import { adapt, dequantizeNF4, full, quantizeNF4, sgd, type PackedNF4, type Values } from '../../src/tune/index.ts'
import { deviceEngine, openSession, referenceDevice, type Device } from '../../src/backend/index.ts'
import type { Certificate } from '../../src/backend/session.ts'
import { graphEngine } from '../../src/backend/graph/engine.ts'
import {
  called,
  emptyBody,
  emptyLibrary,
  graphLowerings,
  hasXla,
  loadGraph,
  lowered,
  type Body,
  type FloatType,
  type Place,
} from '../../src/backend/graph/index.ts'
import { wasmDevice } from '../../src/backend/tfjs/wasm-device.ts'
import { trainStep } from '../../src/train/step.ts'
import { randomFrom } from '../support/op-subjects.ts'
import { native } from '../support/graph-results.ts'
import { devices } from '../support/devices.ts'
import { noNode, nodeTest } from '../support/native-library.ts'

const sizeOf = (dim: Dim): number => Number(dim)
const random = (n: number, seed: number): Float32Array => {
  const next = randomFrom(seed)
  return Float32Array.from({ length: n }, () => 2 * next() - 1)
}

/** Matrices that fill their blocks, that do not, and with more than 256 blocks. */
const matrices: readonly (readonly [rows: number, columns: number])[] = [
  [96, 40],
  [7, 13],
  [1, 1],
  [136, 128],
]
const cases = matrices.flatMap(([rows, columns]) =>
  [false, true].map(double => {
    const packed = quantizeNF4(random(rows * columns, rows), { double })
    return {
      name: `${rows} × ${columns}${double ? ', scales quantized' : ''}`,
      rows,
      columns,
      packed,
      expected: dequantizeNF4(packed, rows * columns),
    }
  }),
)

/** The leaves that vectors are data of, in the order of an op's inputs. */
const leavesOf = (
  packed: PackedNF4,
): { readonly nodes: PackedNodes; readonly data: readonly (readonly [Node, Int32Array | Float32Array])[] } => {
  const data = Object.entries(packed as Readonly<Record<string, Int32Array | Float32Array>>).map(
    ([name, array]) => [name, placeholder([array.length], array instanceof Int32Array ? 'i32' : 'f32'), array] as const,
  )
  // every vector has its leaf
  return {
    nodes: Object.fromEntries(data.map(([name, leaf]) => [name, leaf])) as unknown as PackedNodes,
    data: data.map(([, leaf, array]) => [leaf, array]),
  }
}
const dtypeOf = (array: Int32Array | Float32Array): 'i32' | 'f32' => (array instanceof Int32Array ? 'i32' : 'f32')

/** A compiler for programs of frozen leaves, as a session has it. */
const compilerOf = (
  device: Pick<Device<unknown>, 'traits'>,
  leaves: ReadonlySet<Node>,
  preparations: Preparations,
) => ({
  ...device.traits,
  size: sizeOf,
  isStaticLeaf: (n: Node) => leaves.has(n),
  keyOf: preparedKeys(expressionKeys(), sizeOf),
  preparations,
})

/** Compiles a program of frozen leaves, and runs it. */
const runOn = async <H>(
  device: Device<H>,
  root: Node,
  data: readonly (readonly [Node, Int32Array | Float32Array])[],
) => {
  const preparations: Preparations = new Map()
  const start = device.bytes()
  const leaves = new Set(data.map(([leaf]) => leaf))
  const program = compileProgram([root], compilerOf(device, leaves, preparations))
  const held = new Map(
    data.map(([leaf, array]) => [
      leaf,
      device.upload({ sizes: leaf.shape.map(sizeOf), dtype: dtypeOf(array), data: array }),
    ]),
  )
  const before = device.bytes()
  const results = await device.run(
    program.plan,
    program.inputs.map(n => held.get(n)!),
    sizeOf,
  )
  const after = device.bytes()
  const { data: found } = await device.download(results[0]!)
  for (const handle of [...results, ...held.values()]) device.free(handle)
  assert.equal(device.bytes(), start, 'nothing is left')
  return {
    found: found as Float32Array,
    kept: after - before,
    peak: footprintOf(program.plan).peak,
    prepared: preparations.size,
  }
}

/** Scales are rounded once more on the host than in float64. */
const near = (
  found: ArrayLike<number>,
  expected: Float32Array | Float64Array,
  relative: number,
  what: string,
): void => {
  assert.equal(found.length, expected.length, what)
  expected.forEach((v, i) =>
    assert.ok(Math.abs(found[i]! - v) <= relative * Math.abs(v), `${what}: ${found[i]} is not ${v}`),
  )
}

for (const [title, open] of devices) {
  test(
    `on ${title} a packed matrix is what the host says it is`,
    { skip: title === 'tfjs node' && noNode !== undefined ? noNode : false },
    async () => {
      const device = await open()
      for (const { name, rows, columns, packed, expected } of cases) {
        const { nodes, data } = leavesOf(packed)
        const { found } = await runOn(device, dequantize([rows, columns], nodes), data)
        near(found, expected, title.includes('wasm') ? 0 : 2e-6, name)
      }
      await device.dispose()
    },
  )
}

test('on wasm a product with a packed matrix holds the matrix only while it is used, and prepares nothing', async () => {
  const device = await wasmDevice({ threads: 1 })
  const { rows, columns, packed } = cases.at(-1)!
  const { nodes, data } = leavesOf(packed)
  const x = placeholder([4, columns], 'f32')
  const productOf = (w: Node): Node => u.contract(x, u.transpose(w, [1, 0]), { a: 'mk', b: 'kn', out: 'mn' })
  const w: Node = dequantize([rows, columns], nodes)
  const { kept, peak, prepared } = await runOn(device, productOf(w), [...data, [x, random(4 * columns, 1)]])
  assert.deepEqual([prepared, kept], [0, 4 * 4 * rows])
  assert.equal(peak, 4 * rows * columns + 4 * 4 * rows)
  // a mutant that forgets that it unpacks is prepared: the matrix would be held from then on
  const forgetful: Op<Quantization> = { ...dequantizeOp, unpacks: false }
  const preparations: Preparations = new Map()
  compileProgram(
    [productOf(node(forgetful, w.inputs, w.attributes as Quantization))],
    compilerOf(device, new Set(data.map(([leaf]) => leaf)), preparations),
  )
  assert.equal(preparations.size, 1)
  await device.dispose()
})

/** Layers of x @ (packed matrix) + x @ a, with trained `a`. */
const layered = (count: number, hidden: number, double: boolean, op: Op<Quantization> = dequantizeOp) => {
  const packed = Array.from({ length: count }, (_, i) =>
    quantizeNF4(
      random(hidden * hidden, i + 1).map(v => v / 4),
      { double },
    ),
  )
  const leaves = packed.map(() => {
    const codes = i32('words')
    const scales = double
      ? { absmax_codes: i32('scale_words'), nested_absmax: f32('nested'), nested_offset: f32(1) }
      : { absmax: f32('blocks') }
    return { codes, ...scales, a: f32('hidden', 'hidden') }
  })
  const declared = model({
    params: { layers: leaves },
    batch: { x: f32('batch', 'hidden') },
    dims: { hidden },
    forward: ({ layers }, { x }): Tensor<readonly ['batch', 'hidden']> =>
      repeat(layers, x, (h, layer) => {
        const unpacked = dequantize(['hidden', 'hidden'], layer as PackedNodes) as Node
        const w = u.transpose(node(op, unpacked.inputs, unpacked.attributes as Quantization), [1, 0])
        return typed(
          u.add(
            u.contract(h, w, { a: 'mk', b: 'kn', out: 'mn' }),
            u.contract(h, layer.a, { a: 'mk', b: 'kn', out: 'mn' }),
          ),
        )
      }),
    loss: logits => ({ sum: sum(square(logits)), count: scalar(1) }),
  })
  // data is of its dtype
  const value = (leaf: Node, sizes: readonly number[], data: Int32Array | Float32Array) =>
    ({ shape: leaf.shape, sizes, dtype: dtypeOf(data), data }) as Value<Shape, DType>
  const weights = {
    layers: leaves.map((layer, i) =>
      Object.fromEntries(
        Object.entries(layer).map(([name, leaf]) => {
          const vectors = packed[i] as unknown as Readonly<Record<string, Int32Array | Float32Array>>
          const data = name === 'a' ? random(hidden * hidden, 100 + i).map(v => v / 100) : vectors[name]!
          return [name, value(leaf, name === 'a' ? [hidden, hidden] : [data.length], data)]
        }),
      ),
    ),
  }
  const x = { shape: ['batch', 'hidden'], sizes: [2, hidden], dtype: 'f32', data: random(2 * hidden, 7) }
  // which leaves a layer has is known here only
  return { declared, weights: weights as unknown as Values<typeof declared.params>, batch: { x } as never }
}

test('a backward pass computes a matrix again: layers do not keep it', () => {
  const hidden = 128
  const matrix = 4 * hidden * hidden
  const peak = (count: number, op = dequantizeOp): number => {
    const { declared } = layered(count, hidden, false, op)
    const blocks = (hidden * hidden) / 64
    const size = sizing({ hidden, batch: 2, words: 8 * blocks, blocks })
    const { params, batch, forward, loss } = declared
    const { sum: total } = sumAndCount('the loss', loss!(forward(params, batch), batch, params))
    const own = new Set<Node>(params.layers.flatMap(layer => Object.values(layer)))
    const squared = { a: 'mn', b: 'mn', out: '' }
    const { plan } = compileProgram(
      [total],
      {
        ...referenceDevice().traits,
        layOut: true,
        size,
        isStaticLeaf: n => own.has(n),
        keyOf: preparedKeys(expressionKeys(), size),
        preparations: new Map(),
      },
      {
        wanted: params.layers.map(({ a }) => ({ ...whole(a), get: (dy: Node) => u.contract(dy, dy, squared) })),
        cotangents: [scalar(1)],
      },
    )
    return footprintOf(plan).peak
  }
  assert.ok(peak(6) - peak(2) < matrix, 'four more layers hold less than one more matrix')
  const dear: Op<Quantization> = { ...dequantizeOp, cheap: false }
  assert.ok(peak(6, dear) - peak(2, dear) >= 4 * matrix, 'a mutant that is not cheap is kept')
})

/** The first losses of a training run, and the bytes that the session reported to hold. */
interface Trained {
  readonly losses: readonly number[]
  readonly certificate: Certificate
}
const trained = async (engine: Parameters<typeof openSession>[1], double: boolean): Promise<Trained> => {
  const { declared, weights, batch } = layered(3, 64, double)
  const step = trainStep(adapt(declared, full({ targets: ['a'] })), sgd({ lr: 1e-3 }))
  await using session = await openSession(step, engine, { weights: weights as never })
  const losses = [(await session.evaluate(batch)).sum]
  for (let i = 0; i < 3; i++) losses.push((await session.step([batch])).loss)
  losses.push((await session.evaluate(batch)).sum)
  return { losses, certificate: session.certificate({ batch: 2 }) }
}
/** The bytes that three layers hold: the packed matrices and the trained one. */
const heldBytes = (double: boolean): number => 3 * ((4 * 64 * 64) / 8 + (double ? 64 + 4 + 4 : 4 * 64) + 4 * 64 * 64)

for (const double of [false, true]) {
  test(`a session trains beside packed layers${double ? ' with quantized scales' : ''}: wasm as the reference, and what it holds is packed`, async () => {
    const wasm = deviceEngine(await wasmDevice({ threads: 1 }))
    const reference = await trained(deviceEngine(referenceDevice()), double)
    const found = await trained(wasm, double)
    assert.equal(new Set(reference.losses).size, 4, 'it trains')
    near(found.losses, Float64Array.from(reference.losses), 1e-5, 'losses')
    // apart from the weights, only constants are prepared: less than a quarter of a matrix
    assert.ok(found.certificate.weights >= heldBytes(double) && found.certificate.weights < heldBytes(double) + 64 * 64)
  })
  for (const [precision, xla, tolerance] of [
    ['f32', true, 1e-5],
    ['f32', false, 1e-5],
    ['bf16', true, 2e-2],
  ] as const) {
    const how = `${double ? ' with quantized scales' : ''} in ${precision}, ${xla ? 'with' : 'without'} XLA`
    nodeTest(`a loop over packed layers${how}, trains as the reference and holds what is packed`, async () => {
      const engine = await graphEngine({ precision, xla: xla && (await hasXla(await native())) })
      const reference = await trained(deviceEngine(referenceDevice()), double)
      const found = await trained(engine, double)
      near(found.losses, Float64Array.from(reference.losses), tolerance, 'losses')
      assert.equal(found.certificate.weights, heldBytes(double))
    })
  }
}

type Kernel = NonNullable<Place['kernel']>

/** A graph that unpacks every case, in kernels where XLA compiles them. */
const unpackedBy = async (type: FloatType, xla: boolean): Promise<readonly ArrayLike<number>[]> => {
  const main = emptyBody('graph')
  const library = emptyLibrary()
  const compiled =
    (body: Body): Kernel =>
    (name, of, write) =>
      called(
        body,
        library.define({
          name,
          parameters: of.map(x => x.type),
          xla: true,
          write: (into, inner) => [write(into, inner)],
        }),
        of,
      ).outputs[0]!
  const signatures = Object.fromEntries(
    cases.map(({ rows, columns, packed }, k) => {
      const { nodes, data } = leavesOf(packed)
      const inputs = data.map(([leaf], i) =>
        main.apply('Placeholder', [], { dtype: { type: leaf.dtype } }, { name: `x${k}_${i}` }),
      )
      const f = library.define({
        name: 'unpack',
        parameters: inputs.map(x => x.type),
        write: (body, refs) => {
          const given = new Map(data.map(([leaf], i) => [leaf, refs[i]!]))
          const place: Place = { body, size: sizeOf, compute: type, ...(xla ? { kernel: compiled(body) } : {}) }
          const [y] = lowered(graphLowerings, [dequantize([rows, columns], nodes)], given, place)
          assert.equal(y!.type, type)
          return [body.cast(y!, 'f32')]
        },
      })
      return [
        `case${k}`,
        {
          inputs: Object.fromEntries(inputs.map((x, i) => [`x${i}`, x])),
          outputs: { y: called(main, f, inputs).outputs[0]! },
        },
      ]
    }),
  )
  const graph = await loadGraph(await native(), { main, library, signatures })
  try {
    return cases.map(
      ({ packed }, k) =>
        graph.run(
          `case${k}`,
          Object.fromEntries(
            leavesOf(packed).data.map(([leaf, array], i) => [
              `x${i}`,
              { sizes: leaf.shape.map(sizeOf), dtype: dtypeOf(array), data: array },
            ]),
          ),
        )['y']!.data,
    )
  } finally {
    graph.dispose()
  }
}

nodeTest(
  'in a graph a packed matrix is what the host says it is, to one rounding of its type, compiled by XLA or not',
  async () => {
    const compiled = await hasXla(await native())
    for (const type of ['f32', 'bf16'] as const) {
      for (const xla of compiled ? [true, false] : [false]) {
        ;(await unpackedBy(type, xla)).forEach((found, k) => {
          near(found, cases[k]!.expected, type === 'f32' ? 2e-6 : 2 ** -8, `${cases[k]!.name} in ${type}`)
        })
      }
    }
  },
)

test('what is not packed as it should be is refused on wasm as on the reference', async () => {
  const wasm = await wasmDevice({ threads: 1 })
  for (const device of [referenceDevice() as Device<unknown>, wasm as Device<unknown>]) {
    const codes = i32(16)
    const absmax = f32(1)
    const { plan, inputs } = planned([dequantize([8, 8], { codes, absmax })], { size: sizeOf, inPlace: new Map() })
    const given = inputs.map(n =>
      device.upload({
        sizes: n.shape.map(sizeOf),
        dtype: n.dtype,
        data: n.dtype === 'i32' ? new Int32Array(16) : new Float32Array(1),
      }),
    )
    await assert.rejects(
      async () => device.run(plan, given, sizeOf),
      /dequantize: 8 × 8 elements are packed in 8 codes, not in 16/,
    )
    given.forEach(device.free)
  }
  await wasm.dispose()
})
