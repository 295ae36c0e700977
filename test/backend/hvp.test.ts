import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adapt,
  compile,
  full,
  lora,
  orThrow,
  paca,
  SessionError,
  sgd,
  trainStep,
  type Method,
  type Opaque,
  type Shape,
  type TargetName,
  type Value,
} from '../../src/index.ts'
import { isValue, leaves, mapTree } from '../../src/compiler.ts'
import { openSafetensors } from '../../src/io.ts'
import { noNode } from '../support/native-library.ts'
import { golden, openTiny, targets, tinyBatch, tinyColumns } from '../support/tiny-llama.ts'

const names: readonly string[] = targets
const isFloats = (leaf: unknown): leaf is Value<Shape> => isValue(leaf) && leaf.dtype === 'f32'
const floats = (tree: unknown): ReadonlyMap<string, Value<Shape>> => new Map(leaves(tree, isFloats))
const everyTarget: readonly TargetName[] = ['reference', 'wasm', 'cpu', 'node', 'graph']
const missing = (target: TargetName): string | false =>
  (target === 'graph' || target === 'node') && noNode !== undefined ? noNode : false

const opened = async (adapter: Method<Opaque>, target: TargetName) => {
  const loaded = await openTiny()
  const session = await compile(trainStep(adapt(loaded.model, adapter), sgd({ lr: 0.1 })), {
    target,
    threads: 1,
    weights: loaded.weights,
    compiler: { hvp: true },
  })
  await loaded.checkpoint.close()
  return session
}
type Opened = Awaited<ReturnType<typeof opened>>
type Focus = Awaited<ReturnType<Opened['gradients']>>

/** The focus with other numbers, element by element. */
const mapped = (focus: Focus, of: (path: string, i: number) => number): Focus =>
  mapTree(focus, isFloats, (value, path) => ({
    ...value,
    data: Float32Array.from(value.data, (_, i) => of(path, i)),
  })) as Focus

/** The largest difference between two trees, in units of the largest number. */
const apart = (found: unknown, due: ReadonlyMap<string, { readonly data: ArrayLike<number> }>): number => {
  let most = 0
  let largest = 0
  for (const [path, { data }] of floats(found)) {
    const other = due.get(path)!.data
    data.forEach((x, i) => {
      most = Math.max(most, Math.abs(x - other[i]!))
      largest = Math.max(largest, Math.abs(other[i]!))
    })
  }
  assert.ok(largest > 1e-3, 'there is something to compare')
  return most / largest
}

/** PyTorch's numbers of one kind, by path, turned to `[in, out]`. */
const pytorch = async (prefix: string): Promise<ReadonlyMap<string, { readonly data: Float32Array }>> => {
  const archive = await orThrow(openSafetensors(golden('hvp.safetensors')))
  const found = new Map<string, { readonly data: Float32Array }>()
  for (const [name, entry] of archive.tensors) {
    if (!name.startsWith(prefix)) continue
    const {
      sizes: [rows = 1, columns = 1],
      data,
    } = await entry.read()
    found.set(name.slice(prefix.length), {
      data: Float32Array.from({ length: rows * columns }, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)]!),
    })
  }
  await archive.close()
  return found
}

for (const target of everyTarget) {
  test(
    `Hessian-vector products inside PaCA's columns and of whole weights are PyTorch's, on ${target}`,
    { skip: missing(target) },
    async () => {
      const batch = await tinyBatch()
      {
        await using session = await opened(
          paca({ targets: names, rank: 4, seed: 0, selection: await tinyColumns() }),
          target,
        )
        const tangents = await pytorch('paca.tangent.')
        const tangent = mapped(await session.gradients(batch), (path, i) => tangents.get(path)!.data[i]!)
        const off = apart(await session.hvp(batch, tangent), await pytorch('paca.product.'))
        assert.ok(off < 1e-5, `off by ${off} of the largest`)
      }
      await using session = await opened(full({ targets: names }), target)
      // the tangent is the weights themselves
      const off = apart(await session.hvp(batch, (await session.read()).focus), await pytorch('full.product.'))
      assert.ok(off < 1e-5, `off by ${off} of the largest`)
    },
  )
}

test('a Hessian-vector product is the central difference of gradients, inside the focus of an adapter', async () => {
  await using session = await opened(lora({ targets: names, rank: 4, seed: 1 }), 'reference')
  const batch = await tinyBatch()
  const { focus, state } = await session.read()
  const at = floats(focus)
  let k = 0
  const tangent = mapped(focus, () => Math.sin(++k))
  const along = floats(tangent)
  const step = 2 ** -10
  const gradients = async (h: number) => {
    await session.write({
      state,
      focus: mapped(focus, (path, i) => at.get(path)!.data[i]! + h * along.get(path)!.data[i]!),
    })
    return floats(await session.gradients(batch))
  }
  const product = await session.hvp(batch, tangent)
  const [above, below] = [await gradients(step), await gradients(-step)]
  const quotient = new Map(
    [...above].map(([path, { data }]) => [
      path,
      { data: data.map((x, i) => (x - below.get(path)!.data[i]!) / (2 * step)) },
    ]),
  )
  // float32 on the way in and out, and a third derivative
  const off = apart(product, quotient)
  assert.ok(off < 1e-3, `off by ${off} of the largest`)
  assert.ok(apart(tangent, quotient) > 0.1, 'another direction is refuted')
})

test('a Hessian-vector product leaves the session as it was, and holds nothing', async () => {
  for (const target of ['reference', 'wasm'] as const) {
    await using session = await opened(paca({ targets: names, rank: 4, seed: 0 }), target)
    const batch = await tinyBatch()
    const before = await session.gradients(batch)
    await session.hvp(batch, before)
    const bytes = session.bytes()
    const again = await session.hvp(batch, before)
    assert.equal(session.bytes(), bytes)
    assert.deepEqual(await session.gradients(batch), before)
    assert.deepEqual(await session.hvp(batch, before), again)
  }
})

test('a tangent that is not of the focus is refused in one sentence', async () => {
  await using session = await opened(paca({ targets: names, rank: 4, seed: 0 }), 'reference')
  await using other = await opened(paca({ targets: names, rank: 3, seed: 0 }), 'reference')
  const batch = await tinyBatch()
  const tangent = (await other.read()).focus
  await assert.rejects(
    session.hvp(batch, tangent),
    (error: Error) =>
      error instanceof SessionError && /of the tangent is \[3, \d+\] f32, not \[4, \d+\] f32$/.test(error.message),
  )
})

test('a tangent with fewer numbers than it says is refused in one sentence', async () => {
  for (const target of ['reference', 'wasm'] as const) {
    await using session = await opened(paca({ targets: names, rank: 4, seed: 0 }), target)
    const { focus } = await session.read()
    const short = mapTree(focus, isFloats, value => ({ ...value, data: value.data.subarray(1) })) as Focus
    await assert.rejects(
      session.hvp(await tinyBatch(), short),
      (error: Error) =>
        error instanceof SessionError && /of the tangent has \d+ numbers, where its sizes say \d+$/.test(error.message),
    )
  }
})

test('a graph that was not made for Hessian-vector products says how it is', { skip: missing('graph') }, async () => {
  const loaded = await openTiny()
  await using session = await compile(
    trainStep(adapt(loaded.model, paca({ targets: names, rank: 4, seed: 0 })), sgd({ lr: 0.1 })),
    { target: 'graph', weights: loaded.weights },
  )
  await loaded.checkpoint.close()
  const batch = await tinyBatch()
  await assert.rejects(session.hvp(batch, await session.gradients(batch)), {
    message: 'the graph was not made for Hessian-vector products: open the session with compiler: { hvp: true }',
  })
})
