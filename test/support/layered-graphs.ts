import * as fc from 'fast-check'
import { familyOf, type Family } from '../../src/compile/loop/runs.ts'
import type { Root } from '../../src/compile/loop/roll.ts'
import { call, placeholder, rebuild, u, type Block, type Dim, type Node, type Numbers } from '../../src/tensor/index.ts'
import { noise } from './calculus.ts'

/** Random programs that go through layers, for testing passes over calls. */
export interface Layered {
  readonly roots: readonly Root[]
  readonly families: readonly Family[]
  readonly feeds: ReadonlyMap<Node, Numbers>
}

const width = 2
const leaf = (): Node => placeholder([width], 'f32')
const sigmoid = (x: Node): Node => u.sigmoid(x)
const tanh = (x: Node): Node => u.tanh(x)
export const size = (dim: Dim): number => Number(dim)

/**
 * A block of the value that goes from layer to layer, the layer's leaf, and one more argument; it returns the value
 * that goes on, and those that a layer yields.
 */
const blockOf = (name: string, body: (h: Node, w: Node, e: Node) => readonly Node[]): Block => {
  const parameters = [leaf(), leaf(), leaf()]
  return { name, parameters, outputs: body(parameters[0]!, parameters[1]!, parameters[2]!) }
}
export const blocks: readonly Block[] = [
  blockOf('a', (h, w, e) => [tanh(u.add(u.mul(h, w), e)), u.sub(u.mul(h, e), w)]),
  blockOf('b', (h, w, e) => [sigmoid(u.sub(h, u.mul(w, e))), u.add(h, u.mul(w, e))]),
]

export const isStack = (root: Root): root is readonly Node[] => Array.isArray(root)
/** Every node of the roots, one by one. */
export const flatOf = (roots: readonly Root[]): readonly Node[] =>
  roots.flatMap(root => (isStack(root) ? root : [root]))

export const stackOf = (values: readonly Numbers[]): Numbers => {
  const [{ sizes, data }] = values as readonly [Numbers]
  const all = new Float64Array(values.length * data.length)
  values.forEach((value, i) => {
    all.set(value.data, i * data.length)
  })
  return { sizes: [values.length, ...sizes], data: all }
}
/** The values of roots from those of their nodes, and of families from those of their leaves. */
export const stackedRoots = (roots: readonly Root[], values: readonly Numbers[]): readonly Numbers[] => {
  const rest = [...values]
  return roots.map(root => (isStack(root) ? stackOf(rest.splice(0, root.length)) : rest.shift()!))
}
export const withStacks = (
  feeds: ReadonlyMap<Node, Numbers>,
  families: readonly Family[],
): ReadonlyMap<Node, Numbers> =>
  new Map([
    ...feeds,
    ...families.flatMap(({ leaves, stack }) =>
      leaves.every(l => feeds.has(l)) ? [[stack, stackOf(leaves.map(l => feeds.get(l)!))] as const] : [],
    ),
  ])

interface Values {
  readonly given: readonly Node[]
  readonly carried: readonly Node[]
  readonly yielded: readonly Node[]
}
/** A walk through layers: down or up, with one block or two, its start, and the further inputs of the layers. */
export interface Pass {
  readonly down: boolean
  readonly kinds: readonly number[]
  readonly from: number
  readonly beside: number
  readonly of: number
  readonly only: number
}
export interface Recipe {
  readonly count: number
  readonly passes: readonly Pass[]
  readonly roots: readonly (readonly [kind: number, pass: number, at: number])[]
}

const pass: fc.Arbitrary<Pass> = fc.record({
  down: fc.boolean(),
  from: fc.nat(5),
  beside: fc.nat(6),
  of: fc.nat(3),
  only: fc.nat(3),
  kinds: fc.oneof(
    { weight: 3, arbitrary: fc.constant([0]) },
    { weight: 1, arbitrary: fc.constant([0, 1]) },
    { weight: 1, arbitrary: fc.constant([1, 1, 0, 0]) },
    { weight: 1, arbitrary: fc.constant([0, 1, 0, 0, 0, 0]) },
  ),
})

/** Leaves by layer, with data for them and for the shared inputs. */
const inputsOf = (count: number) => {
  const layered = [0, 1].map(() => Array.from({ length: count }, leaf))
  const global = [leaf(), leaf()]
  const feeds = new Map([...layered.flat(), ...global].map((l, i) => [l, noise([width], i)]))
  return {
    w: layered[0]!,
    v: layered[1]!,
    x: global[0]!,
    y: global[1]!,
    families: layered.filter(leaves => leaves.length > 1).map(familyOf),
    feeds,
  }
}

/** The program of a recipe. */
export const layeredBy = ({ count, passes, roots }: Recipe): Layered => {
  const { w, v, x, y, families, feeds } = inputsOf(count)
  const done: Values[] = []
  for (const { down, kinds, from, beside, of, only } of passes) {
    const made = { given: [] as Node[], carried: [] as Node[], yielded: [] as Node[] }
    const before = done[of % Math.max(1, done.length)]
    const last = done.at(-1)
    // some walks leave layers out
    const layers = w.map((_, l) => l).filter(l => count < 3 || (only === 1 ? l > 0 : only === 2 ? l < count - 1 : true))
    const order = down ? layers.toReversed() : layers
    let h =
      (from === 0
        ? undefined
        : from === 1
          ? before?.carried.find(n => n !== undefined)
          : from === 2
            ? before?.yielded.find(n => n !== undefined)
            : last?.carried.findLast(n => n !== undefined)) ?? x
    let previous = y
    for (const l of order) {
      const e = [x, previous, before?.yielded[l], before?.carried[l], before?.given[l], v[l], tanh(v[l]!)][beside] ?? x
      made.given[l] = h
      const [carried, yielded] = call(blocks[kinds[l % kinds.length]!]!, [h, w[l]!, e])
      made.carried[l] = h = carried!
      made.yielded[l] = previous = yielded!
    }
    done.push(made)
  }
  const all = (nodes: readonly (Node | undefined)[]): readonly Node[] => nodes.filter(n => n !== undefined)
  const rootsOf = (kind: number, { given, carried, yielded }: Values, at: number): readonly Root[] => {
    const of = [carried, yielded, given][at % 3]!
    const some = all(of)
    const one = some[at % some.length]!
    return [
      [one],
      [some],
      [some.toReversed()],
      [some.map(n => (n === one ? tanh(n) : n))],
      [some.reduce(u.add)],
      [some.map(n => u.mul(n, n)).reduce(u.add)],
      [u.add(one, x)],
      [some.map(() => one)],
      [w, v],
      [some.slice(1).concat(some.slice(0, 1))],
      [w.map((n, l) => u.add(n, of[l] ?? x))],
      [[...some, ...w].reduce(u.add)],
    ][kind]!
  }
  const chosen = roots.flatMap(([kind, p, at]) => rootsOf(kind, done[p % done.length]!, at))
  return { roots: chosen.filter(root => !isStack(root) || root.length > 0), families, feeds }
}

/** As text, for counterexamples. */
const printing = <R>(recipe: R, layered: Layered): Layered =>
  ({ ...layered, [fc.toStringMethod]: () => JSON.stringify(recipe) }) as Layered

export const recipes: fc.Arbitrary<Recipe> = fc.record({
  count: fc.integer({ min: 1, max: 6 }),
  passes: fc.array(pass, { minLength: 1, maxLength: 4 }),
  roots: fc.array(fc.tuple(fc.nat(11), fc.nat(3), fc.nat(5)), { minLength: 1, maxLength: 5 }),
})
export const walks: fc.Arbitrary<Layered> = recipes.map(recipe => printing(recipe, layeredBy(recipe)))

/** Calls of anything on anything: programs that look like layers here and there, and must not be taken for more. */
export const tangles: fc.Arbitrary<Layered> = fc
  .record({
    count: fc.integer({ min: 2, max: 4 }),
    calls: fc.array(fc.tuple(fc.nat(1), fc.nat(), fc.nat(), fc.nat()), { minLength: 2, maxLength: 14 }),
    roots: fc.array(fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }),
  })
  .map(recipe => {
    const { w, v, x, y, families, feeds } = inputsOf(recipe.count)
    const pool: Node[] = [...w, ...v, x, y]
    // mostly recent values are read, so that calls follow each other
    const pick = (i: number): Node => pool[i % 3 === 0 ? i % pool.length : Math.max(0, pool.length - 1 - (i % 7))]!
    for (const [block, ...of] of recipe.calls) pool.push(...call(blocks[block]!, of.map(pick)))
    return printing(recipe, {
      roots: recipe.roots.map((of): Root =>
        of.length === 1 ? pick(of[0]!) : of.length === 2 ? of.map(pick) : of.map(pick).reduce(u.add),
      ),
      families,
      feeds,
    })
  })

/** Updates of layers: computations on each layer alone, with norms over all of them in between. */
export const updates: fc.Arbitrary<Layered> = fc
  .record({
    count: fc.integer({ min: 1, max: 5 }),
    steps: fc.array(fc.tuple(fc.nat(6), fc.nat(), fc.nat()), { minLength: 1, maxLength: 10 }),
    roots: fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
  })
  .map(recipe => {
    const { w, v, x, families, feeds } = inputsOf(recipe.count)
    const rows: (readonly Node[])[] = [w, v, w.map(() => x)]
    for (const [kind, i, j] of recipe.steps) {
      const a = rows[i % rows.length]!
      const b = rows[j % rows.length]!
      rows.push(
        [
          () => a.map((n, l) => u.add(n, b[l]!)),
          () => a.map((n, l) => u.mul(n, b[l]!)),
          () => a.map(tanh),
          // a sum over layers, that every layer reads
          () => {
            const norm = a.map(n => u.mul(n, n)).reduce(u.add)
            return a.map(() => norm)
          },
          () => {
            const norm = tanh(a.reduce(u.add))
            return b.map(n => u.mul(n, norm))
          },
          // a sum within a layer, which is not cheap
          () => a.map(n => u.broadcastTo(u.sum(n, [0]), [width])),
          // a layer that is treated in another way
          () => a.map((n, l) => (l === j % a.length ? sigmoid(n) : n)),
        ][kind]!(),
      )
    }
    return printing(recipe, {
      roots: recipe.roots.map((r): Root => (r % 4 === 0 ? rows[r % rows.length]![0]! : rows[r % rows.length]!)),
      families,
      feeds,
    })
  })

/** Replaces every node that satisfies a condition by its faulty version. */
export const spoiled = (roots: readonly Node[], fault: (n: Node) => Node | undefined): readonly Node[] =>
  roots.map(rebuild(roots, rebuilt => fault(rebuilt) ?? rebuilt))
