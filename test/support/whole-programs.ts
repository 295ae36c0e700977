import type { Traits } from '../../src/index.ts'
import { variablesOf, wholePrograms, type Programs, type Variable, type WholePrograms } from '../../src/compiler.ts'
import { count, interpret, type Node, type Numbers } from '../../src/tensor/index.ts'
import { randomFrom } from './op-subjects.ts'
import { allEqual } from './calculus.ts'
import { stackOf } from './layered-graphs.ts'
import { isStaticDim, size } from './tiny-programs.ts'

/**
 * The whole chain of a step's programs in terms of variables, held against the programs that it is made from, and
 * against those of another target.
 */

const traits: Traits = { layOut: true, runs: () => true, inPlace: new Map() }
/** Those of a target that runs a program as a whole. */
export const wholeTraits: Traits = {
  ...traits,
  unprepared: true,
  holdsParts: true,
  alike: true,
  recomputeProducts: 128,
}
export type Subject = (t: Traits) => Programs

/** Data for everything that a step's programs read, the same for all targets. */
const dataFor = (all: readonly Programs[]): ReadonlyMap<Node, Numbers> => {
  const [first] = all as readonly [Programs]
  const random = randomFrom(7)
  const feeds = new Map<Node, Numbers>()
  const fill = (leaf: Node, value: (i: number) => number): Numbers => {
    const sizes = leaf.shape.map(size)
    return { sizes, data: Float64Array.from({ length: count(sizes) }, (_, i) => value(i)) }
  }
  const token = (path: string): number => (path === 'labels' && random() < 0.3 ? -100 : Math.floor(random() * 16))
  for (const [, leaf] of first.params)
    feeds.set(
      leaf,
      fill(leaf, () => random() + (leaf.shape.length === 1 ? 0.5 : -0.4)),
    )
  for (const [path, leaf] of first.batch)
    feeds.set(
      leaf,
      // running variances are positive
      fill(leaf, () => (leaf.dtype === 'i32' ? token(path) : random() + (leaf.shape.length === 1 ? 0.5 : -0.5))),
    )
  for (const [, index] of first.indices)
    feeds.set(
      index,
      fill(index, i => 3 * i + 1),
    )
  for (const [, cache] of first.caches)
    feeds.set(
      cache,
      fill(cache, () => random() - 0.5),
    )
  const decode = first.decode?.(size)
  if (decode)
    feeds
      .set(
        decode.tokens,
        fill(decode.tokens, () => token('')),
      )
      .set(
        decode.position,
        fill(decode.position, () => 2),
      )
  const state = first.state.map(([, leaf]) => fill(leaf, () => (leaf.shape.length === 0 ? 2 : 0.01 + 0.1 * random())))
  const gradient = first.gradient.map(leaf => fill(leaf, () => random() - 0.5))
  for (const programs of all) {
    programs.state.forEach(([, leaf], i) => {
      feeds.set(leaf, state[i]!)
    })
    programs.gradient.forEach((leaf, i) => {
      feeds.set(leaf, gradient[i]!)
    })
    feeds.set(programs.count, { sizes: [], data: Float64Array.of(5) })
    for (const { part, leaf, lens } of programs.trained) feeds.set(part, interpret([lens.get(leaf)], feeds, size)[0]!)
  }
  return feeds
}

type Given = ReadonlyMap<Node, Numbers>
const valueOf = (given: Given, ...nodes: readonly Node[]): readonly Numbers[] => interpret(nodes, given, size)
/** A variable's value from those of its leaves. */
const held = ({ leaves, family }: Variable, at: Given): Numbers =>
  family ? stackOf(leaves.map(leaf => at.get(leaf)!)) : at.get(leaves[0]!)!
const zipped = (nodes: readonly Node[], values: readonly Numbers[]): Given =>
  new Map(nodes.map((n, i) => [n, values[i]!]))

export const wholeOf = (programs: Programs): WholePrograms =>
  wholePrograms(programs, variablesOf(programs), { size, isStaticDim, fuse: true, chunk: { largest: 440, rows: 3 } })
export type Spoil = (roots: readonly Node[]) => readonly Node[]
/**
 * Each program in two forms: the whole, rolled one and the flat one; and the result of a target without loops for the
 * same.
 */
export const comparisons = (
  subject: Subject,
  spoil: Spoil = roots => roots,
): Readonly<Record<string, readonly (readonly Numbers[])[]>> => {
  const flat = subject(wholeTraits)
  const plain = subject(traits)
  const base = dataFor([flat, plain])
  const whole = wholeOf(flat)
  const all = Object.values(whole.variables).flat() as readonly Variable[]
  const gradients = plain.gradients(size)
  const evaluation = plain.evaluate(size)
  const prediction = plain.predict(size)
  const decode = plain.decode?.(size)
  // all programs first: then their prepared values are known
  const update = plain.update(size)
  const normProgram = plain.norm(size)
  const initialProgram = plain.initial(size)
  const prepared = plain.prepared()
  const given = new Map([
    ...base,
    ...prepared.map(({ placeholder, expression }) => [placeholder, valueOf(base, expression)[0]!] as const),
  ])
  const stacks = new Map([...base, ...all.map(variable => [variable.node, held(variable, base)] as const)])
  const rolled = (...nodes: readonly Node[]): readonly Numbers[] => valueOf(stacks, ...spoil(nodes))
  /** The values of variables, and those of the flat program's leaves. */
  const perVariable = (found: readonly (readonly [Variable, Node])[], at: Given): readonly (readonly Numbers[])[] => [
    rolled(...found.map(([, n]) => n)),
    found.map(([variable]) => held(variable, at)),
  ]

  const flatGradients = valueOf(base, ...flat.gradients(size).outputs)
  const madeGradients = whole.gradients()
  /** The place of the first gradient among the outputs: after the sum, the count and the next buffers. */
  const first = 2 + flat.buffers.length
  const apply = flat.apply(size)
  const [norm, ...next] = valueOf(base, ...apply.outputs)
  const after = zipped(apply.replaced, next)
  const madeApply = whole.apply()
  const afterPlain = zipped(update.replaced, valueOf(given, ...update.outputs))
  const withNew = new Map([...given, ...afterPlain])
  const initial = valueOf(base, ...flat.initial(size).outputs)
  const flatDecode = flat.decode?.(size)
  const madeDecode = whole.decode?.()
  const remembered = flatDecode && valueOf(base, ...flatDecode.outputs)
  return {
    'gradients': [
      [
        ...rolled(madeGradients.sum, madeGradients.count, ...madeGradients.buffers),
        ...rolled(...madeGradients.gradients.map(([, n]) => n)),
      ],
      [
        ...flatGradients.slice(0, first),
        ...madeGradients.gradients.map(([variable]) =>
          held(variable, zipped(flat.gradient, flatGradients.slice(first))),
        ),
      ],
    ],
    'gradients without loops': [flatGradients, valueOf(given, ...gradients.outputs)],
    'norm': [rolled(madeApply.norm), [norm!], valueOf(given, ...normProgram.outputs)],
    'apply': perVariable(madeApply.replaced, after),
    'apply without loops': [
      apply.replaced.map(leaf => after.get(leaf)!),
      apply.replaced.map(leaf => {
        const trained = flat.trained.find(({ part }) => part === leaf)
        const state = flat.state.findIndex(([, l]) => l === leaf)
        return trained
          ? valueOf(withNew, trained.lens.get(trained.leaf))[0]!
          : afterPlain.get(state < 0 ? leaf : plain.state[state]![1])!
      }),
    ],
    'everything': [
      [{ sizes: [], data: Float64Array.of(apply.replaced.length) }],
      [{ sizes: [], data: Float64Array.of(madeApply.replaced.flatMap(([{ leaves }]) => leaves).length) }],
    ],
    'initial': [
      ...perVariable(
        whole.initial(),
        zipped(
          flat.state.map(([, leaf]) => leaf),
          initial,
        ),
      ),
    ],
    'initial without loops': [initial, valueOf(given, ...initialProgram.outputs)],
    'evaluate': [
      rolled(...whole.evaluate()),
      valueOf(base, ...flat.evaluate(size).outputs),
      valueOf(given, ...evaluation.outputs),
    ],
    'predict': [
      rolled(...whole.predict()),
      valueOf(base, ...flat.predict(size).outputs),
      valueOf(given, ...prediction.outputs),
    ],
    ...(madeDecode && flatDecode && remembered && decode
      ? {
          'decode': [
            [...rolled(madeDecode.logits), ...rolled(...madeDecode.caches.map(([, n]) => n))],
            [
              remembered[0]!,
              ...madeDecode.caches.map(([variable]) => held(variable, zipped(flatDecode.cache, remembered.slice(1)))),
            ],
          ],
          'decode without loops': [remembered, valueOf(given, ...decode.outputs)],
        }
      : {}),
  }
}
export const agree = ([first, ...others]: readonly (readonly Numbers[])[]): boolean =>
  others.every(other => allEqual(first!, other))
