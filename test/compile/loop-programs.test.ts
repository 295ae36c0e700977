import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adamw,
  adapt,
  add,
  chain,
  clipByGlobalNorm,
  f32,
  full,
  matmul,
  model,
  nn,
  paca,
  repeat,
  scan,
  square,
  sub,
  sum,
  tanh,
  trainStep,
  type Method,
  type Reparametrisation,
} from '../../src/index.ts'
import { programsOf, variablesOf, u, type Loop, type Variable, type WholePrograms } from '../../src/compiler.ts'
import { llama } from '../../src/model.ts'
import {
  blockOf,
  bodyOf,
  is,
  loopOp,
  node,
  scalar,
  substitute,
  sumOp,
  topological,
  walk,
  type Node,
  type NodeOf,
} from '../../src/tensor/index.ts'
import { layerIn, masked } from '../support/masks.ts'
import { spoiled } from '../support/layered-graphs.ts'
import { size } from '../support/tiny-programs.ts'
import { agree, comparisons, wholeOf, wholeTraits, type Spoil, type Subject } from '../support/whole-programs.ts'

const optimizer = chain(clipByGlobalNorm(0.1), adamw({ lr: 0.1, weightDecay: 0.01 }))
const tiny = (layers: number, tied = true) =>
  llama({
    hidden_size: 8,
    intermediate_size: 12,
    num_hidden_layers: layers,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 4,
    vocab_size: 16,
    rms_norm_eps: 1e-6,
    rope_theta: 10000,
    tie_word_embeddings: tied,
  })
/** Layers of which one is read from outside, and a value of each. */
const supervised = model({
  params: { layers: Array.from({ length: 3 }, () => ({ up: f32('hidden', 'ffn'), down: f32('ffn', 'hidden') })) },
  batch: { x: f32('batch', 'hidden') },
  dims: { hidden: 8, ffn: 12 },
  forward: ({ layers }, { x }) => {
    const [last, yields] = scan(layers, x, (h, { up, down }) => {
      const next = add(h, matmul(tanh(matmul(h, up)), down))
      return [next, [next]]
    })
    return add(last, yields[1]![0])
  },
  loss: (logits, { x }) => ({ sum: sum(square(sub(logits, x))), count: scalar(2) }),
})

/** Layers that normalise by running statistics, the first of them of another width. */
const normalised = model({
  params: {
    first: { weight: f32('hidden', 'ffn'), norm: nn.BatchNorm('ffn') },
    layers: Array.from({ length: 3 }, () => ({ weight: f32('ffn', 'ffn'), norm: nn.BatchNorm('ffn') })),
  },
  buffers: { norms: Array.from({ length: 4 }, () => nn.RunningStatistics('ffn')) },
  batch: { x: f32('batch', 'hidden') },
  dims: { hidden: 8, ffn: 12 },
  forward: ({ first, layers }, { x }, { norms: [before, ...norms] }) => {
    const entry = nn.batchNorm(matmul(x, first.weight), first.norm, before!)
    const steps = layers.map((of, i) => ({ of, statistics: norms[i]! }))
    const [last, next] = scan(steps, entry.outputs, (h, { of, statistics }) => {
      const { outputs, buffers } = nn.batchNorm(matmul(h, of.weight), of.norm, statistics)
      return [add(h, tanh(outputs)), buffers]
    })
    return { outputs: last, buffers: { norms: [entry.buffers, ...next] } }
  },
  loss: logits => ({ sum: sum(square(logits)), count: scalar(2) }),
})

/** Two stages of layers, alike within each. */
const staged = model({
  params: {
    narrow: Array.from({ length: 2 }, () => ({ up: f32('hidden', 'ffn'), down: f32('ffn', 'hidden') })),
    wide: Array.from({ length: 3 }, () => ({ up: f32('hidden', 'vocab'), down: f32('vocab', 'hidden') })),
  },
  batch: { x: f32('batch', 'hidden') },
  dims: { hidden: 8, ffn: 12, vocab: 16 },
  forward: ({ narrow, wide }, { x }) => {
    const y = repeat(narrow, x, (h, { up, down }) => add(h, matmul(tanh(matmul(h, up)), down)))
    return repeat(wide, y, (h, { up, down }) => add(h, matmul(tanh(matmul(h, up)), down)))
  },
  loss: logits => ({ sum: sum(square(logits)), count: scalar(2) }),
})

const llamaOf = <F extends Reparametrisation>(layers: number, adapter: Method<F>, tied = true): Subject => {
  const step = trainStep(adapt(tiny(layers, tied), adapter), optimizer)
  return t => programsOf(step, t)
}
const supervisedOf = <F extends Reparametrisation>(adapter: Method<F>): Subject => {
  const step = trainStep(adapt(supervised, adapter), optimizer)
  return t => programsOf(step, t)
}
const normalisedOf = <F extends Reparametrisation>(adapter: Method<F>): Subject => {
  const step = trainStep(adapt(normalised, adapter), optimizer)
  return t => programsOf(step, t)
}
const stagedOf = <F extends Reparametrisation>(adapter: Method<F>): Subject => {
  const step = trainStep(adapt(staged, adapter), optimizer)
  return t => programsOf(step, t)
}
const unclipped: Subject = t =>
  programsOf(trainStep(adapt(normalised, full({ targets: ['all'] })), adamw({ lr: 0.1 })), t)
const pacaOf = paca({ targets: ['q_proj', 'v_proj', 'down_proj'], rank: 2, seed: 0 })
const fullOf = full({ targets: ['all'] })
const isTarget = (path: string): boolean => /q_proj|down_proj/.test(path)
const subjects: Readonly<Record<string, Subject>> = {
  'paca, tied': llamaOf(3, pacaOf),
  'paca, untied': llamaOf(3, pacaOf, false),
  'full, tied': llamaOf(3, fullOf),
  'full, untied': llamaOf(3, fullOf, false),
  'one layer': llamaOf(1, fullOf),
  'two layers': llamaOf(2, pacaOf),
  'whole leaves in the first two layers, columns in the others': llamaOf(
    4,
    masked(path => (!isTarget(path) ? 'frozen' : layerIn(path) < 2 ? 'all' : { columns: 2 })),
  ),
  'a layer in the middle with other targets': llamaOf(
    4,
    masked(path =>
      layerIn(path) === 2 ? (path.includes('up_proj') ? 'all' : 'frozen') : isTarget(path) ? { columns: 2 } : 'frozen',
    ),
  ),
  'kinds that alternate': llamaOf(
    4,
    masked(path => (!isTarget(path) ? 'frozen' : layerIn(path) % 2 === 0 ? { columns: 2 } : { entries: 2 })),
  ),
  'only the last layers': llamaOf(
    4,
    masked(path => (isTarget(path) && layerIn(path) > 1 ? 'all' : 'frozen')),
  ),
  'only the first layers, and the embedding': llamaOf(
    4,
    masked(path => ((isTarget(path) && layerIn(path) < 2) || path.includes('embed') ? 'all' : 'frozen')),
  ),
  'layers read from outside, full': supervisedOf(full({ targets: ['all'] })),
  'layers read from outside, paca': supervisedOf(paca({ targets: ['up', 'down'], rank: 2, seed: 0 })),
  'layers with buffers, full': normalisedOf(full({ targets: ['all'] })),
  'layers with buffers, paca': normalisedOf(paca({ targets: ['weight'], rank: 2, seed: 0 })),
  'full, without clipping': unclipped,
  'stages of two and three layers': stagedOf(full({ targets: ['all'] })),
}

for (const [name, subject] of Object.entries(subjects)) {
  test(`${name}: rolled programs are the flat ones, and those of a target without loops`, () => {
    for (const [program, values] of Object.entries(comparisons(subject))) assert.ok(agree(values), program)
  })
  test(`${name}: every variable has a name of its own, and all its leaves are replaced or none`, () => {
    const programs = subject(wholeTraits)
    const variables = Object.values(variablesOf(programs)).flat() as readonly Variable[]
    const replaced = new Set(programs.apply(size).replaced)
    assert.equal(new Set(variables.map(v => v.name)).size, variables.length)
    for (const { leaves } of variables) assert.ok(leaves.every(leaf => replaced.has(leaf) === replaced.has(leaves[0]!)))
  })
}

const loopsIn = (roots: readonly Node[]): readonly NodeOf<Loop>[] => topological(roots).filter(n => is(n, loopOp))
const changed =
  (change: (loop: NodeOf<Loop>) => NodeOf<Loop>): Spoil =>
  roots =>
    spoiled(roots, n => (is(n, loopOp) ? change(n) : undefined))
/** The second layer in the place of the first, and so on. */
const aLayerOff = (stack: Node): Node =>
  u.concat(
    [u.slice(stack, 0, { as: Number(stack.shape[0]) - 1, start: [1] }), u.slice(stack, 0, { as: 1 })],
    0,
    stack.shape[0]!,
  )
const mutants: Readonly<Record<string, readonly [spoil: Spoil, programs: readonly string[]]>> = {
  'loops that go the other way': [
    changed(loop => node(loopOp, loop.inputs, { ...loop.attributes, reverse: !loop.attributes.reverse })),
    ['gradients', 'evaluate', 'predict', 'decode'],
  ],
  'stacks that are a layer off': [
    changed(loop =>
      node(
        loopOp,
        loop.inputs.map((input, i) => (loop.attributes.feeds[i]!.kind === 'layered' ? aLayerOff(input) : input)),
        loop.attributes,
      ),
    ),
    ['gradients', 'apply', 'evaluate', 'predict', 'decode'],
  ],
  'sums over layers that leave one out': [
    roots =>
      spoiled(roots, n =>
        is(n, sumOp) && n.attributes.axes.join() === '0' && typeof n.inputs[0]!.shape[0] === 'number'
          ? node(sumOp, [u.slice(n.inputs[0]!, 0, { as: Number(n.inputs[0]!.shape[0]) - 1 })], n.attributes)
          : undefined,
      ),
    ['norm', 'apply'],
  ],
}
for (const [name, [spoil, refuted]] of Object.entries(mutants)) {
  test(`${name} are refuted`, () => {
    const all = comparisons(subjects['full, tied']!, spoil)
    for (const program of refuted) assert.ok(!agree(all[program]!), program)
  })
}

/** Computations that both the norm and the update run: an update is given the norm itself. */
const runTwice = ({ norm, replaced }: ReturnType<WholePrograms['apply']>): readonly Node[] => {
  const ofNorm = new Set(topological([norm]))
  return walk(
    replaced.map(([, n]) => n),
    new Set([norm]),
  ).filter(n => n !== norm && bodyOf(n) !== undefined && ofNorm.has(n))
}
for (const [name, subject] of Object.entries(subjects)) {
  test(`${name}: no layer's update is computed for the norm`, () => {
    assert.deepEqual(runTwice(wholeOf(subject(wholeTraits)).apply()), [])
  })
}
test('an update that computes the norm again is refuted', () => {
  const { norm, replaced } = wholeOf(subjects['full, tied']!(wholeTraits)).apply()
  const again = node(norm.op, norm.inputs, norm.attributes)
  const spoilt = replaced.map(([variable, n]) => [variable, substitute([n], new Map([[norm, again]]))[0]!] as const)
  assert.notDeepEqual(runTwice({ norm, replaced: spoilt }), [])
})

const programsIn = (whole: WholePrograms): Readonly<Record<string, readonly Node[]>> => {
  const gradients = whole.gradients()
  const apply = whole.apply()
  const decode = whole.decode?.()
  return {
    gradients: [gradients.sum, gradients.count, ...gradients.gradients.map(([, n]) => n)],
    apply: [apply.norm, ...apply.replaced.map(([, n]) => n)],
    evaluate: whole.evaluate(),
    predict: whole.predict(),
    decode: decode ? [decode.logits, ...decode.caches.map(([, n]) => n)] : [],
  }
}
for (const [name, of] of [
  ['paca', (layers: number) => llamaOf(layers, pacaOf)],
  ['full', (layers: number) => llamaOf(layers, fullOf)],
] as const) {
  test(`${name}: programs have as many nodes for 30 layers as for 4 and for 2`, () => {
    const counts = [2, 4, 30].map(layers =>
      Object.entries(programsIn(wholeOf(of(layers)(wholeTraits)))).map(
        ([program, roots]) => [program, topological(roots).length, loopsIn(roots).length] as const,
      ),
    )
    assert.deepEqual(counts[0], counts[2])
    assert.deepEqual(counts[1], counts[2])
  })
}

const made: Readonly<
  Record<
    string,
    readonly [forward: readonly number[], backward: readonly number[], update: readonly number[], calls: number]
  >
> = {
  'paca, tied': [[3], [3], [3, 3], 0],
  'full, untied': [[3], [3], [3, 3], 0],
  'one layer': [[], [], [], 2],
  'whole leaves in the first two layers, columns in the others': [[2, 2], [2, 2], [2, 2], 0],
  'a layer in the middle with other targets': [[2], [2], [3, 3], 4],
  'kinds that alternate': [[], [], [2, 2], 8],
  'only the last layers': [[2, 2], [2], [2, 2], 0],
  'layers read from outside, full': [[3], [], [3, 3], 3],
  'layers with buffers, full': [[3], [3], [3, 3], 0],
  'full, without clipping': [[3], [3], [3, 3], 0],
  'stages of two and three layers': [[2, 3], [3, 2], [2, 3, 2, 3], 0],
}
for (const [name, [forward, backward, update, calls]] of Object.entries(made)) {
  test(`${name}: loops of ${forward.join(' and ') || 'no'} layers`, () => {
    const { gradients, apply } = programsIn(wholeOf(subjects[name]!(wholeTraits)))
    const counted = (roots: readonly Node[], isOne: (blockName: string) => boolean): readonly number[] =>
      loopsIn(roots)
        .filter(loop => isOne(loop.attributes.block.name))
        .map(loop => Number(loop.attributes.count))
    assert.deepEqual(
      counted(gradients!, block => !block.endsWith('backward')),
      forward,
    )
    assert.deepEqual(
      counted(gradients!, block => block.endsWith('backward')),
      backward,
    )
    assert.deepEqual(
      counted(apply!, () => true),
      update,
    )
    assert.equal(topological(gradients!).filter(n => blockOf(n)?.name.startsWith('layer')).length, calls)
  })
}
