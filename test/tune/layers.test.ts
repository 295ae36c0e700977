import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adapt,
  add,
  alsoTraining,
  biases,
  compile,
  f32,
  full,
  i32,
  init,
  lora,
  matmul,
  model,
  nn,
  nf4,
  norms,
  quantized,
  sgd,
  silu,
  squaredError,
  trainStep,
  type Method,
  type Opaque,
  type Shape,
  type Tensor,
  type Value,
} from '../../src/index.ts'
import { isTensor, isValue, leaves, mapTree, maskedLeaves, recordOf, tensorsOf } from '../../src/compiler.ts'
import { adapterOf as savedOf, keepsBase, remembering } from '../../src/train/adapter.ts'
import { withAdapter } from '../../src/train/adapted.ts'
import { peftOf } from '../../src/io/adapter/index.ts'
import type { MethodName } from '../../src/tune/index.ts'
import { origin } from '../support/adapters.ts'
import { adapterOf, names, valueOf } from '../support/methods.ts'

/** Two forms of one model: leaves called after their modules, as in checkpoints, and the records that `nn` declares. */

interface Layer {
  readonly up: nn.Linear<'hidden', 'ffn'>
  readonly down: nn.LinearMap<'ffn', 'hidden'>
}
const plainLayer = () => ({ 'up': f32('hidden', 'ffn'), 'up.bias': f32('ffn'), 'down': f32('ffn', 'hidden') })
const plainParams = { layers: [plainLayer(), plainLayer()], norm: f32('hidden') }
const recordParams = {
  layers: Array.from({ length: 2 }, (): Layer => ({
    up: nn.Linear('hidden', 'ffn'),
    down: nn.Linear('ffn', 'hidden', { bias: false }),
  })),
  norm: nn.RmsNorm('hidden'),
}
type Hidden = Tensor<readonly ['batch', 'hidden']>
const network = <P>(
  params: P,
  read: (params: P) => { readonly layers: readonly Layer[]; readonly norm: nn.RmsNorm<'hidden'> },
) =>
  model({
    params,
    batch: { x: f32('batch', 'hidden'), y: f32('batch', 'hidden') },
    forward: (p, { x }): Hidden => {
      const { layers, norm } = read(p)
      return nn.rmsNorm(
        layers.reduce<Hidden>((h, { up, down }) => add(h, matmul(silu(nn.linear(h, up)), down.weight)), x),
        norm,
      )
    },
    loss: (out, { y }) => squaredError(out, y),
  })
const plain = network(plainParams, ({ layers, norm }) => ({
  layers: layers.map(l => ({ up: { weight: l.up, bias: l['up.bias'] }, down: { weight: l.down } })),
  norm: { weight: norm },
}))
const records = network(recordParams, p => p)

/** The path of a leaf in the form with plain leaves. */
const plainPath = (path: string): string => path.replace(/\.weight(?=\.|$)/, '')
const valuesFor = (tree: unknown): never =>
  mapTree(tree, isTensor, ({ shape }, path) =>
    valueOf(shape, plainPath(path).length + 31 * Number(/\d/.exec(path)?.[0] ?? 7)),
  ) as never
const isFloats = (leaf: unknown): leaf is Value<Shape> => isValue(leaf) && leaf.dtype === 'f32'
const data = (tree: unknown): ReadonlyMap<string, readonly number[]> =>
  new Map(leaves(tree, isFloats).map(([path, { data: all }]) => [plainPath(path), [...all]]))

type Form = ReturnType<typeof network<unknown>>
/** The form as code for both sees it: its functions are called with parameters of its own structure alone. */
const anyForm = (of: unknown): Form => of as Form
/** Trains a form by a method, and saves the adapter. */
const trained = async (of: Form, name: MethodName, method: Method<Opaque>) => {
  const { tuned, frozen } = remembering(adapt(of, method))
  const weights: never = valuesFor(of.params)
  await using run = await compile(trainStep(tuned, sgd({ lr: 0.1 })), { target: 'reference', weights })
  const batch: never = valuesFor(of.batch)
  const base = keepsBase(name) ? (await run.read()).focus : undefined
  for (let k = 0; k < 2; k++) await run.step([batch])
  const { focus } = await run.read()
  const adapter = savedOf(origin, {
    method: name,
    ...(recordOf(name).rank === undefined ? {} : { rank: 3 }),
    settings: { alpha: 5 },
    selection: run.selection,
    base,
    focus,
    frozen,
  })
  return { focus, adapter, batch, weights, loss: (await run.evaluate(batch)).loss }
}
/** The loss of a form whose weights were changed. */
const lossWith = async (of: Form, weights: never, batch: never): Promise<number> => {
  const none: readonly string[] = []
  const step = trainStep(adapt(of, full({ targets: none })), sgd({ lr: 0.1 }))
  await using run = await compile(step, { target: 'reference', weights })
  return (await run.evaluate(batch)).loss
}

for (const name of names)
  test(`${name}: a layer { weight, bias } is a module like a leaf that is called after it, and is saved as one`, async () => {
    const a = await trained(anyForm(plain), name, adapterOf(name))
    const b = await trained(anyForm(records), name, adapterOf(name))
    assert.deepEqual(data(b.focus), data(a.focus))
    assert.ok(data(a.focus).size > 0)
    assert.deepEqual([...b.adapter.modules.keys()], [...a.adapter.modules.keys()])
    assert.deepEqual(b.adapter, a.adapter)
    const merged = await lossWith(anyForm(records), withAdapter(b.weights, b.adapter), b.batch)
    assert.ok(Math.abs(merged - b.loss) < 1e-6, `${merged} is not ${b.loss}`)
    assert.notEqual(await lossWith(anyForm(records), b.weights, b.batch), b.loss)
  })

for (const name of ['lora', 'dora', 'paca'] as const)
  test(`${name} on a quantized base finds the weights of layers, too`, async () => {
    const packed = (): Method<Opaque> =>
      quantized(nf4({ double: true }), { modules: ['up', 'down'] })(adapterOf(name, { targets: ['up'] }))
    const a = await trained(anyForm(plain), name, packed())
    const b = await trained(anyForm(records), name, packed())
    assert.deepEqual(data(b.focus), data(a.focus))
    assert.deepEqual(b.adapter, a.adapter)
  })

test("PEFT's names are those of the modules", async () => {
  const { adapter } = await trained(anyForm(records), 'lora', adapterOf('lora'))
  const peft = peftOf(adapter, () => 12)
  assert.equal(peft._tag, 'Right')
  assert.deepEqual(
    [...(peft._tag === 'Right' ? peft.right.tensors.keys() : [])].slice(0, 3),
    ['up.lora_A', 'up.lora_B', 'down.lora_A'].map(tensor => `base_model.model.layers.0.${tensor}.weight`),
  )
})

/** The paths of leaves with a trained part. */
const trainedPaths = ({ params, mask }: { readonly params: unknown; readonly mask: unknown }): readonly string[] =>
  maskedLeaves(params, mask).flatMap(({ path, mask: { mask: kind } }) => (kind === 'frozen' ? [] : [path]))
test('norms are the weights of modules called so, biases are called so, and a module that is also trained is trained whole', () => {
  assert.deepEqual(trainedPaths(adapt(records, norms())), ['norm.weight'])
  assert.deepEqual(trainedPaths(adapt(records, biases())), ['layers.0.up.bias', 'layers.1.up.bias'])
  const also = alsoTraining(['layers.0.up'])(lora({ targets: ['down'], rank: 2, seed: 0 }))
  assert.deepEqual(
    trainedPaths(adapt(records, also)).filter(path => path.includes('up')),
    ['layers.0.up.weight', 'layers.0.up.bias'],
  )
})
test('types follow: the adapted weight of a layer is a record, its bias stays, and an unknown module is refused', () => {
  const tuned = adapt(records, lora({ targets: ['up'], rank: 2, seed: 0 }))
  const A: Tensor<readonly ['hidden', 2]> = tuned.params.layers[0]!.up.weight.lora_A
  const down: Tensor<readonly ['ffn', 'hidden']> = tuned.params.layers[0]!.down.weight
  const gain: 'all' = adapt(records, norms()).mask.norm.weight.mask
  assert.deepEqual([A.shape, down.shape, gain], [['hidden', 2], ['ffn', 'hidden'], 'all'])
  assert.throws(
    () => adapt(records, lora({ targets: ['left'] as readonly string[], rank: 2, seed: 0 })),
    /^UnknownTarget: no module is called left: there are up, bias, down, norm$/,
  )
  assert.deepEqual(
    tensorsOf(tuned.params)
      .map(([path]) => path)
      .filter(path => path.startsWith('layers.0.up')),
    ['weight.weight', 'weight.lora_A', 'weight.lora_B', 'bias'].map(path => `layers.0.up.${path}`),
  )
})

test('the first values of layers are those of their declarations', () => {
  const { layers, norm } = init.params(records, { seed: 3, dims: { hidden: 64, ffn: 96 } })
  assert.ok(norm.weight.data.every(x => x === 1))
  assert.ok(layers.every(({ up }) => up.bias.data.every(x => x === 0)))
  const { data: weight } = layers[1]!.up.weight
  const deviation = Math.sqrt(weight.reduce((total, x) => total + x * x, 0) / weight.length)
  assert.ok(Math.abs(deviation * 8 - 1) < 0.05, `${deviation}`)
  const words = model({
    params: { words: nn.Embedding('vocab', 'hidden') },
    batch: { ids: i32('batch') },
    forward: (p, b) => nn.embedding(b.ids, p.words),
  })
  const rows = init.params(words, { seed: 3, dims: { vocab: 200, hidden: 20 } }).words.weight.data
  assert.ok(Math.abs(rows.reduce((total, x) => total + x * x, 0) / rows.length - 1) < 0.1)
})
