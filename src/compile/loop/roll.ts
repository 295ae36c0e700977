import {
  broadcasted, concatOp, is, node, plus, reshaped, resultOp, sliced, summed, topological, withInputs, type Node,
} from '../../tensor/index.ts'
import { sumsIn } from './addends.ts'
import { looped, type Feed, type Loop } from './loop.ts'
import { findRuns, layerOf, type Family, type Place, type Run, type Source } from './runs.ts'

/** What a program is to return: a node, or one node for each layer, together as a stack. */
export type Root = Node | readonly Node[]
const isStack = (root: Root): root is readonly Node[] => Array.isArray(root)

/** Some layers of a stack, in order. */
const layersOf = (stack: Node, from: number, count: number): Node => (from === 0 && stack.shape[0] === count ? stack : sliced(stack, 0, from === 0 ? [] : [from], count))

/**
 * Puts loops in the place of calls that go through layers, so that a program has one function for each kind of layer, however
 * many layers there are. It reads families as stacks, and a sum over layers becomes the sum of a stack.
 * @example rolled([loss, layers.map(gradientOf)], [familyOf(layers.map(layer => layer.up_proj))])
 */
export const rolled = (roots: readonly Root[], families: readonly Family[]): readonly Node[] => {
  const flat = roots.flatMap(root => (isStack(root) ? root : [root])), runs = findRuns(flat, families), sums = sumsIn(flat)
  const built = new Map<Node, Node>(), loops = new Map<Run, readonly Node[]>(), kept = keptSources(flat, roots, runs)

  const stackOf = (source: Source): Node => (source.of === 'family' ? source.family.stack : loopOf(source.run)[kept.positionOf(source)]!)
  const element = (place: Place, shape: Node['shape']): Node => reshaped(layersOf(stackOf(place.source), layerOf(place), 1), shape)
  /** Values of consecutive layers, as a part of their stack. */
  const stackedAt = (first: Place, last: Place, count: number): Node => layersOf(stackOf(first.source), Math.min(layerOf(first), layerOf(last)), count)

  function loopOf(run: Run): readonly Node[] {
    const known = loops.get(run)
    if (known) return known
    const { block, calls, moves } = run, extra = kept.of(run)
    const feeds = moves.map((move): Feed => (move!.kind === 'layered' ? { kind: 'layered' } : move!))
    const inputs = moves.map((move, argument) => {
      if (move!.kind !== 'layered') return get(calls[0]!.inputs[argument]!)
      const [last] = move!.places, turns = calls.length - 1
      const first = { source: last!.source, at: last!.at - turns * run.step * (last!.source.of === 'family' ? 1 : last!.source.run.step) }
      return stackedAt(first, last!, calls.length)
    })
    const outputs = [...block.outputs, ...extra.map(({ of, index }) => (of === 'input' ? block.parameters : block.outputs)[index]!)]
    const loop: Loop = { block: { ...block, outputs }, count: calls.length, feeds, reverse: run.step === -1 }
    const results = looped(loop, inputs)
    loops.set(run, results)
    return results
  }
  /** A result of a call that a loop makes. */
  const resultOf = (n: Node, run: Run, turn: number, index: number): Node => {
    const carried = run.moves.some(move => move?.kind === 'carried' && move.output === index)
    if (carried && turn === run.calls.length - 1) return loopOf(run)[index]!
    return element({ source: runs.outputOf(run, index), at: turn }, n.shape)
  }
  const build = (n: Node): Node => {
    if (is(n, resultOp)) {
      const made = runs.runOf(n.inputs[0]!)
      if (made && made.run.calls.length > 1) return resultOf(n, made.run, made.turn, n.attributes.index)
    }
    const [place] = runs.placesOf(n)
    if (place?.source.of === 'family' && n.inputs.length === 0) return element(place, n.shape)
    const addends = sums.addends(n)
    return addends ? total(addends) : withInputs(n, n.inputs.map(get))
  }
  function get(n: Node): Node {
    const known = built.get(n) ?? build(n)
    built.set(n, known)
    return known
  }
  /** The sum of many, where those of one source are summed as a stack. */
  const total = (addends: readonly Node[]): Node =>
    piecesOf(bySource(addends, runs.placesOf), runs.placesOf).map(({ nodes, first, last }) =>
      (first && last && nodes.length > 1 ? summed(stackedAt(first, last, nodes.length), [0]) : nodes.map(get).reduce(plus))).reduce(plus)
  const whole = (nodes: readonly Node[]): Node => {
    const [first] = nodes as readonly [Node]
    // one value for all layers, as the zeros of a first state
    if (nodes.every(n => n === first) && nodes.length > 1) return broadcasted(reshaped(get(first), [1, ...first.shape]), [nodes.length, ...first.shape])
    const pieces = piecesOf(nodes, runs.placesOf).flatMap(({ nodes: some, first, last }) =>
      (first && last && some.length > 1 ? [stackedAt(first, last, some.length)] : some.map(n => reshaped(get(n), [1, ...n.shape]))))
    return pieces.length === 1 ? pieces[0]! : node(concatOp, pieces, { axis: 0, dim: nodes.length })
  }
  return roots.map(root => (isStack(root) ? whole(root) : get(root)))
}

interface Piece { readonly nodes: readonly Node[]; readonly first?: Place; readonly last?: Place }

/** Values of one source next to each other, in the order of their layers: a sum does not ask for an order. */
const bySource = (nodes: readonly Node[], placesOf: (n: Node) => readonly Place[]): readonly Node[] => {
  const groups = new Map<Source | Node, Node[]>()
  for (const n of nodes) {
    const key = placesOf(n)[0]?.source ?? n
    groups.set(key, [...(groups.get(key) ?? []), n])
  }
  return [...groups.values()].flatMap(group => group.toSorted((a, b) => (placesOf(a)[0] && placesOf(b)[0] ? layerOf(placesOf(a)[0]!) - layerOf(placesOf(b)[0]!) : 0)))
}

/** Cuts a list into pieces that go up the layers of one source. */
const piecesOf = (nodes: readonly Node[], placesOf: (n: Node) => readonly Place[]): readonly Piece[] => {
  const usable = (n: Node): readonly Place[] => placesOf(n).filter(({ source }) => source.of === 'family' || source.run.calls.length > 1)
  return nodes.reduce<readonly Piece[]>((pieces, n) => {
    const before = pieces.at(-1), places = usable(n)
    const place = before?.last ? places.find(p => p.source === before.last!.source && layerOf(p) === layerOf(before.last!) + 1) : undefined
    if (before && place) return [...pieces.slice(0, -1), { ...before, nodes: [...before.nodes, n], last: place }]
    const [start] = places
    return [...pieces, start ? { nodes: [n], first: start, last: start } : { nodes: [n] }]
  }, [])
}

/** What a loop must return beside its block's outputs: what was carried, at every turn, where something reads it. */
const keptSources = (flat: readonly Node[], roots: readonly Root[], { runOf, placesOf }: ReturnType<typeof findRuns>) => {
  const kept = new Map<Run, Source[]>()
  const isCarried = (run: Run, output: number): boolean => run.moves.some(move => move?.kind === 'carried' && move.output === output)
  const keep = (source: Source | undefined): void => {
    if (source === undefined || source.of === 'family' || (source.of === 'output' && !isCarried(source.run, source.index))) return
    const own = kept.get(source.run) ?? []
    kept.set(source.run, own.includes(source) ? own : [...own, source])
  }
  const order = topological(flat)
  for (const n of order) {
    const made = runOf(n)
    if (made && made.run.calls.length > 1) {
      for (const move of made.run.moves) if (move?.kind === 'layered') keep(move.places[0]!.source)
      continue
    }
    // read alone, by what is in no loop
    for (const input of n.inputs) keepEarlier(input)
  }
  flat.forEach(keepEarlier)
  function keepEarlier(n: Node): void {
    const owner = is(n, resultOp) ? runOf(n.inputs[0]!) : undefined
    if (owner && is(n, resultOp) && owner.run.calls.length > 1 && owner.turn < owner.run.calls.length - 1) keep(placesOf(n).find(({ source }) => source.of === 'output')?.source)
  }
  for (const root of roots) if (isStack(root)) for (const { first } of piecesOf(root, placesOf)) keep(first?.source)
  return {
    of: (run: Run): readonly Extract<Source, { readonly run: Run }>[] => (kept.get(run) ?? []).filter(source => source.of !== 'family'),
    positionOf: (source: Source): number => {
      if (source.of === 'family') throw new RangeError('a family is no result of a loop')
      const at = (kept.get(source.run) ?? []).indexOf(source)
      return at < 0 ? source.index : source.run.block.outputs.length + at
    },
  }
}
