import {
  is,
  looped,
  placeholderOp,
  resultOp,
  topological,
  withInputs,
  u,
  type Feed,
  type Loop,
  type Node,
} from '../../tensor/index.ts'
import { sumsIn, type Sums } from './addends.ts'
import { findRuns, layerOf, type Family, type Place, type Run, type Runs, type Source } from './runs.ts'

/** A result of a program: a node, or one node for each layer, together as a stack. */
export type Root = Node | readonly Node[]
const isStack = (root: Root): root is readonly Node[] => Array.isArray(root)

/** Some layers of a stack, in order. */
const layersOf = (stack: Node, from: number, count: number): Node =>
  from === 0 && stack.shape[0] === count ? stack : u.slice(stack, 0, { as: count, start: from === 0 ? [] : [from] })

/**
 * Replaces calls that go through layers by loops, so that a program has one function for each kind of layer, however
 * many layers there are. The program reads families as stacks, and a sum over layers becomes the sum of a stack.
 * @example rolled([loss, layers.map(gradientOf)], [familyOf(layers.map(layer => layer.up_proj))])
 */
export const rolled = (roots: readonly Root[], families: readonly Family[]): readonly Node[] => {
  const flat = roots.flatMap(root => (isStack(root) ? root : [root]))
  const runs = findRuns(flat, families)
  const sums = sumsIn(flat)
  const built = new Map<Node, Node>()
  const loops = new Map<Run, readonly Node[]>()
  const kept = keptSources(flat, roots, runs, sums)

  const stackOf = (source: Source): Node =>
    source.of === 'family' ? source.family.stack : loopOf(source.run)[kept.positionOf(source)]!
  const element = (place: Place, shape: Node['shape']): Node =>
    u.reshape(layersOf(stackOf(place.source), layerOf(place), 1), shape)
  /** A piece of several values, as a part of a stack. */
  const stacked = ({ nodes: { length }, last }: Stacked): Node =>
    layersOf(stackOf(last.source), layerOf(last) - length + 1, length)

  function loopOf(run: Run): readonly Node[] {
    const known = loops.get(run)
    if (known) return known
    const { block, calls, moves } = run
    const extra = kept.of(run)
    const feeds = moves.map((move): Feed => (move!.kind === 'layered' ? { kind: 'layered' } : move!))
    const inputs = moves.map((move, argument) => {
      if (move!.kind !== 'layered') return get(calls[0]!.inputs[argument]!)
      const [last] = move!.places as readonly [Place]
      return layersOf(
        stackOf(last.source),
        run.step === 1 ? layerOf(last) - calls.length + 1 : layerOf(last),
        calls.length,
      )
    })
    const outputs = [
      ...block.outputs,
      ...extra.map(({ of, index }) => (of === 'input' ? block.parameters : block.outputs)[index]!),
    ]
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
    if (place?.source.of === 'family' && n.inputs.length === 0)
      return is(place.source.family.stack, placeholderOp) ? element(place, n.shape) : n
    const addends = sums.addends(n)
    return addends ? total(addends) : withInputs(n, n.inputs.map(get))
  }
  function get(n: Node): Node {
    const known = built.get(n) ?? build(n)
    built.set(n, known)
    return known
  }
  /** A sum of many terms, in which the terms of one source are summed as a stack. */
  const total = (addends: readonly Node[]): Node =>
    addedPieces(addends, runs.placesOf)
      .map(piece => (isStacked(piece) ? u.sum(stacked(piece), [0]) : piece.nodes.map(get).reduce(u.add)))
      .reduce(u.add)
  const whole = (nodes: readonly Node[]): Node => {
    const [first] = nodes as readonly [Node]
    // one value for all layers, such as the zeros of a first state
    if (nodes.every(n => n === first) && nodes.length > 1)
      return u.broadcastTo(u.reshape(get(first), [1, ...first.shape]), [nodes.length, ...first.shape])
    const pieces = piecesOf(nodes, runs.placesOf).flatMap(piece =>
      isStacked(piece) ? [stacked(piece)] : piece.nodes.map(n => u.reshape(get(n), [1, ...n.shape])),
    )
    return pieces.length === 1 ? pieces[0]! : u.concat(pieces, 0, nodes.length)
  }
  return roots.map(root => (isStack(root) ? whole(root) : get(root)))
}

interface Piece {
  readonly nodes: readonly Node[]
  readonly last?: Place
}
type Stacked = Required<Piece>
/** Tests whether a piece is a part of a stack. */
const isStacked = (piece: Piece): piece is Stacked => piece.last !== undefined && piece.nodes.length > 1

/**
 * The pieces of a sum, which does not depend on the order: the values of one source are adjacent, in the order of their
 * layers.
 */
const addedPieces = (addends: readonly Node[], placesOf: (n: Node) => readonly Place[]): readonly Piece[] => {
  // the result of a call is in a stack, whether or not the next call receives it
  const placeOf = (n: Node): Place | undefined => {
    const places = placesOf(n)
    return places.find(({ source }) => source.of !== 'input') ?? places[0]
  }
  const groups = new Map<Source | Node, Node[]>()
  for (const n of addends) {
    const key = placeOf(n)?.source ?? n
    groups.set(key, [...(groups.get(key) ?? []), n])
  }
  return piecesOf(
    [...groups.values()].flatMap(group =>
      group.toSorted((a, b) => (a === b ? 0 : layerOf(placeOf(a)!) - layerOf(placeOf(b)!))),
    ),
    placesOf,
  )
}

/** Cuts a list into pieces, each of which goes up the layers of one source. */
const piecesOf = (nodes: readonly Node[], placesOf: (n: Node) => readonly Place[]): readonly Piece[] => {
  const usable = (n: Node): readonly Place[] =>
    placesOf(n).filter(({ source }) => source.of === 'family' || source.run.calls.length > 1)
  const pieces = nodes.reduce<readonly { readonly nodes: readonly Node[]; readonly places: readonly Place[] }[]>(
    (made, n) => {
      const before = made.at(-1)
      const places = usable(n)
      const follow = places.filter(p =>
        before?.places.some(b => p.source === b.source && layerOf(p) === layerOf(b) + 1),
      )
      return before && follow.length > 0
        ? [...made.slice(0, -1), { nodes: [...before.nodes, n], places: follow }]
        : [...made, { nodes: [n], places }]
    },
    [],
  )
  return pieces.map(({ nodes: some, places: [last] }) => (last ? { nodes: some, last } : { nodes: some }))
}

/**
 * The results that a loop must return in addition to its block's outputs: the carried values of every turn, if
 * something reads them.
 */
const keptSources = (flat: readonly Node[], roots: readonly Root[], { runOf, placesOf }: Runs, sums: Sums) => {
  const kept = new Map<Run, Source[]>()
  const isCarried = (run: Run, output: number): boolean =>
    run.moves.some(move => move?.kind === 'carried' && move.output === output)
  const keep = (source: Source | undefined): void => {
    if (
      source === undefined ||
      source.of === 'family' ||
      (source.of === 'output' && !isCarried(source.run, source.index))
    )
      return
    const own = kept.get(source.run) ?? []
    kept.set(source.run, own.includes(source) ? own : [...own, source])
  }
  /**
   * Keeps the stack that a value belongs to, for a reader of that single value; the last carried value needs no stack.
   */
  const keepAlone = (n: Node): void => {
    const made = is(n, resultOp) ? runOf(n.inputs[0]!) : undefined
    if (made && made.run.calls.length > 1 && made.turn < made.run.calls.length - 1)
      keep(placesOf(n).find(({ source }) => source.of === 'output')?.source)
  }
  const keepPieces = (pieces: readonly Piece[]): void => {
    for (const piece of pieces)
      if (isStacked(piece)) keep(piece.last.source)
      else piece.nodes.forEach(keepAlone)
  }
  for (const n of topological(flat)) {
    const made = runOf(n)
    const addends = sums.addends(n)
    if (made && made.run.calls.length > 1) {
      made.run.moves.forEach((move, argument) => {
        if (move?.kind === 'layered') keep(move.places[0]!.source)
        else keepAlone(made.run.calls[0]!.inputs[argument]!)
      })
    } else if (addends) keepPieces(addedPieces(addends, placesOf))
    else if (sums.last(n) === undefined) n.inputs.forEach(keepAlone)
  }
  for (const root of roots)
    if (isStack(root)) keepPieces(piecesOf(root, placesOf))
    else keepAlone(root)
  return {
    of: (run: Run): readonly Extract<Source, { readonly run: Run }>[] =>
      (kept.get(run) ?? []).filter(source => source.of !== 'family'),
    positionOf: (source: Source): number => {
      if (source.of === 'family') throw new RangeError('a family is no result of a loop')
      const at = (kept.get(source.run) ?? []).indexOf(source)
      return at < 0 ? source.index : source.run.block.outputs.length + at
    },
  }
}
