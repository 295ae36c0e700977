import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adamw, adapt, add, chain, clipByGlobalNorm, f32, full, llama, loopOp, matmul, model, paca, programsOf, scan, square, sub, sum, tanh, trainStep, variablesOf, wholePrograms,
  type Adapter, type Loop, type Programs, type Reparametrisation, type Traits, type Variable, type WholePrograms,
} from '../../src/index.ts'
import { concatOp, count, interpret, is, node, scalar, sliced, topological, type Node, type NodeOf, type Numbers } from '../../src/tensor/index.ts'
import { randomFrom } from '../arbitrary.ts'
import { layerIn, masked } from '../masked.ts'
import { allEqual } from '../tensor/calculus.ts'
import { spoiled, stackOf } from './layers.ts'
import { isStaticDim, size } from './tiny.ts'

/** The whole chain of a step's programs in terms of variables, held against the programs that it is made from, and against those of another target. */

const optimizer = chain(clipByGlobalNorm(0.1), adamw({ lr: 0.1, weightDecay: 0.01 }))
const tiny = (layers: number, tied = true) => llama({
  hidden_size: 8, intermediate_size: 12, num_hidden_layers: layers, num_attention_heads: 4, num_key_value_heads: 2, head_dim: 4, vocab_size: 16,
  rms_norm_eps: 1e-6, rope_theta: 10000, tie_word_embeddings: tied,
})
/** Layers of which one is read from outside, and a value of each. */
const supervised = model({
  params: { layers: Array.from({ length: 3 }, () => ({ up: f32('hidden', 'ffn'), down: f32('ffn', 'hidden') })) }, batch: { x: f32('batch', 'hidden') }, dims: { hidden: 8, ffn: 12 },
  logits: ({ layers }, { x }) => {
    const [last, yields] = scan(layers, x, (h, { up, down }) => { const next = add(h, matmul(tanh(matmul(h, up)), down)); return [next, [next]] })
    return add(last, yields[1]![0])
  },
  loss: (logits, { x }) => ({ sum: sum(square(sub(logits, x))), count: scalar(2) }),
})

const traits: Traits = { layOut: true, runs: () => true, inPlace: new Map() }
const wholeTraits: Traits = { ...traits, unprepared: true, holdsParts: true, alike: true, recomputeProducts: 128 }
type Subject = (t: Traits) => Programs
const llamaOf = <F extends Reparametrisation>(layers: number, adapter: Adapter<F>, tied = true): Subject => {
  const step = trainStep(adapt(tiny(layers, tied), adapter), optimizer)
  return t => programsOf(step, t)
}
const supervisedOf = <F extends Reparametrisation>(adapter: Adapter<F>): Subject => {
  const step = trainStep(adapt(supervised, adapter), optimizer)
  return t => programsOf(step, t)
}
const pacaOf = paca({ targets: ['q_proj', 'v_proj', 'down_proj'], rank: 2, seed: 0 }), fullOf = full({ targets: ['all'] })
const isTarget = (path: string): boolean => /q_proj|down_proj/.test(path)
const subjects: Readonly<Record<string, Subject>> = {
  'paca, tied': llamaOf(3, pacaOf), 'paca, untied': llamaOf(3, pacaOf, false), 'full, tied': llamaOf(3, fullOf), 'full, untied': llamaOf(3, fullOf, false),
  'one layer': llamaOf(1, fullOf), 'two layers': llamaOf(2, pacaOf),
  'whole leaves in the first two layers, columns in the others': llamaOf(4, masked(path => (!isTarget(path) ? 'frozen' : layerIn(path) < 2 ? 'all' : { columns: 2 }))),
  'a layer in the middle with other targets': llamaOf(4, masked(path => (layerIn(path) === 2 ? (path.includes('up_proj') ? 'all' : 'frozen') : isTarget(path) ? { columns: 2 } : 'frozen'))),
  'kinds that alternate': llamaOf(4, masked(path => (!isTarget(path) ? 'frozen' : layerIn(path) % 2 === 0 ? { columns: 2 } : { entries: 2 }))),
  'only the last layers': llamaOf(4, masked(path => (isTarget(path) && layerIn(path) > 1 ? 'all' : 'frozen'))),
  'only the first layers, and the embedding': llamaOf(4, masked(path => (isTarget(path) && layerIn(path) < 2 || path.includes('embed') ? 'all' : 'frozen'))),
  'layers read from outside, full': supervisedOf(full({ targets: ['all'] })), 'layers read from outside, paca': supervisedOf(paca({ targets: ['up', 'down'], rank: 2, seed: 0 })),
}

/** Data for everything that a step's programs read, the same for all targets. */
const dataFor = (all: readonly Programs[]): ReadonlyMap<Node, Numbers> => {
  const [first] = all as readonly [Programs], random = randomFrom(7), feeds = new Map<Node, Numbers>()
  const fill = (leaf: Node, value: (i: number) => number): Numbers => {
    const sizes = leaf.shape.map(size)
    return { sizes, data: Float64Array.from({ length: count(sizes) }, (_, i) => value(i)) }
  }
  const token = (path: string): number => (path === 'labels' && random() < 0.3 ? -100 : Math.floor(random() * 16))
  for (const [, leaf] of first.params) feeds.set(leaf, fill(leaf, () => random() + (leaf.shape.length === 1 ? 0.5 : -0.4)))
  for (const [path, leaf] of first.batch) feeds.set(leaf, fill(leaf, () => (leaf.dtype === 'i32' ? token(path) : random() - 0.5)))
  for (const [, index] of first.indices) feeds.set(index, fill(index, i => 3 * i + 1))
  for (const [, cache] of first.caches) feeds.set(cache, fill(cache, () => random() - 0.5))
  const decode = first.decode?.(size)
  if (decode) feeds.set(decode.tokens, fill(decode.tokens, () => token(''))).set(decode.position, fill(decode.position, () => 2))
  const state = first.state.map(([, leaf]) => fill(leaf, () => (leaf.shape.length === 0 ? 2 : 0.01 + 0.1 * random()))), gradient = first.gradient.map(leaf => fill(leaf, () => random() - 0.5))
  for (const programs of all) {
    programs.state.forEach(([, leaf], i) => { feeds.set(leaf, state[i]!) })
    programs.gradient.forEach((leaf, i) => { feeds.set(leaf, gradient[i]!) })
    feeds.set(programs.count, { sizes: [], data: Float64Array.of(5) })
    for (const { part, leaf, lens } of programs.trained) feeds.set(part, interpret([lens.get(leaf)], feeds, size)[0]!)
  }
  return feeds
}

type Given = ReadonlyMap<Node, Numbers>
const valueOf = (given: Given, ...nodes: readonly Node[]): readonly Numbers[] => interpret(nodes, given, size)
/** A variable's value from those of its leaves. */
const held = ({ leaves, family }: Variable, at: Given): Numbers => (family ? stackOf(leaves.map(leaf => at.get(leaf)!)) : at.get(leaves[0]!)!)
const zipped = (nodes: readonly Node[], values: readonly Numbers[]): Given => new Map(nodes.map((n, i) => [n, values[i]!]))

const wholeOf = (programs: Programs): WholePrograms => wholePrograms(programs, variablesOf(programs), { size, isStaticDim, fuse: true, chunk: { largest: 440, rows: 3 } })
type Spoil = (roots: readonly Node[]) => readonly Node[]
/** Each program: the whole, rolled one and the flat one; and what a target without loops makes of the same. */
const comparisons = (subject: Subject, spoil: Spoil = roots => roots): Readonly<Record<string, readonly (readonly Numbers[])[]>> => {
  const flat = subject(wholeTraits), plain = subject(traits), base = dataFor([flat, plain]), whole = wholeOf(flat), all = Object.values(whole.variables).flat() as readonly Variable[]
  const gradients = plain.gradients(size), evaluation = plain.evaluate(size), logits = plain.logits(size), decode = plain.decode?.(size)
  // all programs first: what they prepare is known then
  const update = plain.update(size), normProgram = plain.norm(size), initialProgram = plain.initial(size), prepared = plain.prepared()
  const given = new Map([...base, ...prepared.map(({ placeholder, expression }) => [placeholder, valueOf(base, expression)[0]!] as const)])
  const stacks = new Map([...base, ...all.map(variable => [variable.node, held(variable, base)] as const)])
  const rolled = (...nodes: readonly Node[]): readonly Numbers[] => valueOf(stacks, ...spoil(nodes))
  /** The values of variables, and what the flat program has for their leaves. */
  const perVariable = (found: readonly (readonly [Variable, Node])[], at: Given): readonly (readonly Numbers[])[] => [rolled(...found.map(([, n]) => n)), found.map(([variable]) => held(variable, at))]

  const flatGradients = valueOf(base, ...flat.gradients(size).outputs), madeGradients = whole.gradients()
  const apply = flat.apply(size), [norm, ...next] = valueOf(base, ...apply.outputs), after = zipped(apply.replaced, next), madeApply = whole.apply()
  const afterPlain = zipped(update.replaced, valueOf(given, ...update.outputs)), withNew = new Map([...given, ...afterPlain])
  const initial = valueOf(base, ...flat.initial(size).outputs)
  const flatDecode = flat.decode?.(size), madeDecode = whole.decode?.(), remembered = flatDecode && valueOf(base, ...flatDecode.outputs)
  return {
    gradients: [
      [...rolled(madeGradients.sum, madeGradients.count), ...rolled(...madeGradients.gradients.map(([, n]) => n))],
      [...flatGradients.slice(0, 2), ...madeGradients.gradients.map(([variable]) => held(variable, zipped(flat.gradient, flatGradients.slice(2))))],
    ],
    'gradients without loops': [flatGradients, valueOf(given, ...gradients.outputs)],
    norm: [rolled(madeApply.norm), [norm!], valueOf(given, ...normProgram.outputs)],
    apply: perVariable(madeApply.replaced, after),
    'apply without loops': [
      apply.replaced.map(leaf => after.get(leaf)!),
      apply.replaced.map(leaf => {
        const trained = flat.trained.find(({ part }) => part === leaf), state = flat.state.findIndex(([, l]) => l === leaf)
        return trained ? valueOf(withNew, trained.lens.get(trained.leaf))[0]! : afterPlain.get(state < 0 ? leaf : plain.state[state]![1])!
      }),
    ],
    everything: [[{ sizes: [], data: Float64Array.of(apply.replaced.length) }], [{ sizes: [], data: Float64Array.of(madeApply.replaced.flatMap(([{ leaves }]) => leaves).length) }]],
    initial: [...perVariable(whole.initial(), zipped(flat.state.map(([, leaf]) => leaf), initial)), ],
    'initial without loops': [initial, valueOf(given, ...initialProgram.outputs)],
    evaluate: [rolled(whole.evaluate().sum, whole.evaluate().count), valueOf(base, ...flat.evaluate(size).outputs), valueOf(given, ...evaluation.outputs)],
    logits: [rolled(whole.logits()), valueOf(base, ...flat.logits(size).outputs), valueOf(given, ...logits.outputs)],
    ...(madeDecode && flatDecode && remembered && decode ? {
      decode: [
        [...rolled(madeDecode.logits), ...rolled(...madeDecode.caches.map(([, n]) => n))],
        [remembered[0]!, ...madeDecode.caches.map(([variable]) => held(variable, zipped(flatDecode.cache, remembered.slice(1))))],
      ],
      'decode without loops': [remembered, valueOf(given, ...decode.outputs)],
    } : {}),
  }
}
const agree = ([first, ...others]: readonly (readonly Numbers[])[]): boolean => others.every(other => allEqual(first!, other))

for (const [name, subject] of Object.entries(subjects)) {
  test(`${name}: rolled programs are the flat ones, and those of a target without loops`, () => {
    for (const [program, values] of Object.entries(comparisons(subject))) assert.ok(agree(values), program)
  })
  test(`${name}: every variable has a name of its own, and all its leaves are replaced or none`, () => {
    const programs = subject(wholeTraits), variables = Object.values(variablesOf(programs)).flat() as readonly Variable[], replaced = new Set(programs.apply(size).replaced)
    assert.equal(new Set(variables.map(v => v.name)).size, variables.length)
    for (const { leaves } of variables) assert.ok(leaves.every(leaf => replaced.has(leaf) === replaced.has(leaves[0]!)))
  })
}

const changed = (change: (loop: NodeOf<Loop>) => NodeOf<Loop>): Spoil => roots => spoiled(roots, n => (is(n, loopOp) ? change(n) : undefined))
/** The second layer in the place of the first, and so on. */
const aLayerOff = (stack: Node): Node => node(concatOp, [sliced(stack, 0, [1], Number(stack.shape[0]) - 1), sliced(stack, 0, [], 1)], { axis: 0, dim: stack.shape[0]! })
const mutants: Readonly<Record<string, readonly [spoil: Spoil, programs: readonly string[]]>> = {
  'loops that go the other way': [changed(loop => node(loopOp, loop.inputs, { ...loop.attributes, reverse: !loop.attributes.reverse })), ['gradients', 'evaluate', 'logits', 'decode']],
  'stacks that are a layer off': [
    changed(loop => node(loopOp, loop.inputs.map((input, i) => (loop.attributes.feeds[i]!.kind === 'layered' ? aLayerOff(input) : input)), loop.attributes)), ['gradients', 'norm', 'apply', 'evaluate', 'logits', 'decode']],
}
for (const [name, [spoil, refuted]] of Object.entries(mutants)) {
  test(`${name} are refuted`, () => {
    const all = comparisons(subjects['full, tied']!, spoil)
    console.log(Object.entries(all).map(([p, v]) => [p, agree(v)]))
    for (const program of refuted) assert.ok(!agree(all[program]!), program)
  })
}

const programsIn = (whole: WholePrograms): Readonly<Record<string, readonly Node[]>> => {
  const gradients = whole.gradients(), apply = whole.apply(), { sum, count: scored } = whole.evaluate(), decode = whole.decode!()
  return {
    gradients: [gradients.sum, gradients.count, ...gradients.gradients.map(([, n]) => n)], apply: [apply.norm, ...apply.replaced.map(([, n]) => n)],
    evaluate: [sum, scored], logits: [whole.logits()], decode: [decode.logits, ...decode.caches.map(([, n]) => n)],
  }
}
const loopsIn = (roots: readonly Node[]): readonly NodeOf<Loop>[] => topological(roots).filter(n => is(n, loopOp))
for (const [name, adapter] of [['paca', pacaOf], ['full', fullOf]] as const) {
  test(`${name}: programs have as many nodes for 30 layers as for 4 and for 2`, () => {
    const counts = [2, 4, 30].map(layers => Object.entries(programsIn(wholeOf(llamaOf(layers, adapter as typeof pacaOf)(wholeTraits)))).map(([program, roots]) => [program, topological(roots).length, loopsIn(roots).length] as const))
    console.log(counts)
    assert.deepEqual(counts[0], counts[2])
    assert.deepEqual(counts[1], counts[2])
  })
}
