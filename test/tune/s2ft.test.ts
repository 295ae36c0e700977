import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adapt, compile, explain, orThrow, s2ft, sgd, trainStep, type Shape, type Value } from '../../src/index.ts'
import { openSafetensors } from '../../src/io/index.ts'
import { transposeMatrix } from '../../src/tensor/index.ts'
import { inputBlocks, isLazyLeaf, isValue, leaves, mapTree, type LazyLeaf } from '../../src/tune/index.ts'
import { curves, golden, openTiny, tinyBatch, tinyColumns, tinyStep, tinyValues } from '../support/tiny-llama.ts'

/**
 * S2FT of the paper, as PyTorch trains it in test/golden/llama-tiny/methods.py: whole heads and channels, with and
 * without the permutation that puts what is trained side by side.
 */

const columns = await tinyColumns('s2ft')
const integers = async (prefix: string): Promise<ReadonlyMap<string, Int32Array>> => {
  const archive = await orThrow(openSafetensors(golden('s2ft.safetensors')))
  const found = new Map<string, Int32Array>()
  for (const [name, entry] of archive.tensors)
    if (name.startsWith(prefix)) found.set(name.slice(prefix.length), Int32Array.from((await entry.read()).data))
  await archive.close()
  return found
}
const orders = await integers('order.')
const headDim = 16

/** The positions of heads, each of `headDim` features. */
const featuresOf = (heads: Int32Array): readonly number[] =>
  [...heads].flatMap(head => Array.from({ length: headDim }, (_, i) => head * headDim + i))
const rowsIn = ({ data, sizes }: Value<Shape>, order: readonly number[]): Float32Array => {
  const length = sizes[1]!
  const moved = new Float32Array(data.length)
  order.forEach((from, to) => moved.set(data.subarray(from * length, (from + 1) * length), to * length))
  return moved
}
/** A weight `[in, out]` with its inputs, or its outputs, in another order. */
const reordered = (value: Value<Shape>, axis: 0 | 1, order: readonly number[]): Value<Shape> => {
  const [rows, cols] = value.sizes as readonly [number, number]
  if (axis === 0) return { ...value, data: rowsIn(value, order) }
  const turned = { ...value, sizes: [cols, rows], data: transposeMatrix(value.data, rows, cols) }
  return { ...value, data: transposeMatrix(rowsIn(turned, order), cols, rows) }
}

/** The side of a coupled structure on which a module is, and the order of the structure in its layer. */
const sideOf = (path: string): readonly [axis: 0 | 1, order: readonly number[]] | undefined => {
  const [, layer = '', name = ''] = /layers\.(\d)\..*\.(\w+)$/.exec(path) ?? []
  const of = (what: string): Int32Array => orders.get(`${what}.${layer}`)!
  switch (name) {
    case 'q_proj':
      return [1, featuresOf(of('heads'))]
    case 'k_proj':
    case 'v_proj':
      return [1, featuresOf(of('groups'))]
    case 'o_proj':
      return [0, featuresOf(of('heads'))]
    case 'gate_proj':
    case 'up_proj':
      return [1, [...of('channels')]]
    case 'down_proj':
      return [0, [...of('channels')]]
    default:
      return undefined
  }
}
const isLazy = (leaf: unknown): leaf is LazyLeaf<Shape, 'f32'> => isLazyLeaf(leaf)
const permuted = (weights: unknown, sides: typeof sideOf): unknown =>
  mapTree(weights, isLazy, (leaf, path) => {
    const side = sides(path)
    return side ? { read: async () => reordered('read' in leaf ? await leaf.read() : leaf, ...side) } : leaf
  })

type Run = { readonly losses: readonly number[]; readonly focus: ReadonlyMap<string, Float32Array> }
const isFloats = (leaf: unknown): leaf is Value<Shape> => isValue(leaf) && leaf.dtype === 'f32'
const batch = await tinyBatch()
/** Ten steps of the recipe, on the model as it is or on a permuted one. */
const trained = async (
  chosen: ReadonlyMap<string, Int32Array>,
  sides: typeof sideOf = () => undefined,
): Promise<Run> => {
  const loaded = await openTiny()
  await using session = await compile(await tinyStep(loaded, 's2ft', chosen), {
    target: 'reference',
    weights: permuted(loaded.weights, sides) as typeof loaded.weights,
  })
  await loaded.checkpoint.close()
  const losses: number[] = []
  for (let i = 0; i < curves.recipe.steps; i++) losses.push((await session.step([batch])).loss)
  const { focus } = await session.read()
  return { losses, focus: new Map(leaves(focus, isFloats).map(([path, { data }]) => [path, data])) }
}
const away = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), a.length === b.length ? 0 : Infinity)

/** The trained columns, side by side: the first ones of permuted modules. */
const contiguous = new Map([...columns].map(([path, own]) => [path, Int32Array.from(own, (_, i) => i)]))

test('ten steps on chosen heads and channels are those of PyTorch, with and without the permutation', async () => {
  const due = await tinyValues('s2ft', 'after.')
  const plain = await trained(columns)
  const moved = await trained(contiguous, sideOf)
  assert.equal(plain.focus.size, 4)
  for (const { losses, focus } of [plain, moved]) {
    assert.ok(away(losses, curves.s2ft.slice(0, 10)) < 1e-5)
    for (const [path, { data }] of due) assert.ok(away(focus.get(path)!, data) < 1e-5, path)
  }
  // half of a structure permuted is another model
  const torn = await trained(contiguous, path => (path.endsWith('up_proj') ? undefined : sideOf(path)))
  assert.ok(away(torn.losses, plain.losses) > 1e-2)
})

test('of the inputs of a module its chosen columns are kept from forward to backward, as many numbers of a token as autograd keeps', async () => {
  const { model, checkpoint } = await openTiny()
  await checkpoint.close()
  const kept = await integers('kept.')
  const savedBy = (chosen: ReadonlyMap<string, Int32Array>): number => {
    const ranks = new Map([...chosen].map(([path, { length }]) => [path, length]))
    const blocks = inputBlocks(model)
    const tuned = adapt(model, s2ft({ targets: [...ranks.keys()], rank: 1, ranks, seed: 0, blocks, selection: chosen }))
    return explain(trainStep(tuned, sgd({ lr: 0.1 })), { dims: { batch: 2, seq: 24 } }).saved
  }
  // one head and one channel of each layer, for comparison
  const least = new Map([...columns].map(([path, own]) => [path, own.slice(0, path.endsWith('o_proj') ? headDim : 1)]))
  const numbers = (of: ReadonlyMap<string, { readonly length: number }>): number =>
    [...of.values()].reduce((sum, { length }) => sum + length, 0)
  assert.deepEqual(
    new Map([...columns].map(([path, { length }]) => [path, length])),
    new Map([...kept].map(([path, [n]]) => [path, n])),
  )
  assert.equal(savedBy(columns) - savedBy(least), 4 * 2 * 24 * (numbers(columns) - numbers(least)))
})

test('heads are chosen whole: as many as have the rank asked for, and a part of one is refused', async () => {
  const { model, checkpoint } = await openTiny()
  await checkpoint.close()
  const blocks = inputBlocks(model)
  const paths = [0, 1].map(i => `model.layers.${i}.self_attn.o_proj`)
  assert.deepEqual(blocks, new Map(paths.map(path => [path, headDim])))
  const chosen = (rank: number, selection?: ReadonlyMap<string, Int32Array>) => {
    const made = adapt(
      model,
      s2ft({
        targets: ['o_proj', 'down_proj'] as readonly string[],
        rank,
        seed: 4,
        blocks,
        ...(selection ? { selection } : {}),
      }),
    )
    return new Map(
      made.selections.map(({ path, choose }) => {
        const sizes = [path.endsWith('o_proj') ? 64 : 176, 64]
        return [path, choose({ shape: sizes, sizes, dtype: 'f32', data: new Float32Array(0) })]
      }),
    )
  }
  for (const [rank, heads] of [
    [1, 1],
    [16, 1],
    [17, 2],
    [64, 4],
  ] as const) {
    const found = chosen(rank)
    for (const path of paths) {
      const own = found.get(path)!
      const whole = [...new Set([...own].map(column => Math.floor(column / headDim)))]
      assert.equal(whole.length, heads)
      assert.deepEqual([...own], featuresOf(Int32Array.from(whole)))
    }
    assert.equal(found.get('model.layers.0.mlp.down_proj')!.length, rank)
  }
  assert.throws(() => chosen(16, new Map([[paths[0]!, Int32Array.from({ length: 16 }, (_, i) => i + 8)]])), {
    name: 'UnknownTarget',
    message: 's2ft trains whole blocks of 16 columns of model.layers.0.self_attn.o_proj: of block 0, 8 are chosen',
  })
})
