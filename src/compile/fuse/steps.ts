import * as E from '../../either/index.ts'
import {
  broadcasting,
  bytesPerElement,
  count,
  fitsByShape,
  interpret,
  is,
  node,
  noDims,
  placeholder,
  placeholderOp,
  reshapeOp,
  resultOp,
  substitute,
  sumOp,
  topological,
  type Dim,
  type Node,
  type Op,
} from '../../tensor/index.ts'

/**
 * Elementwise steps that run as one: the last of them, or its sum over all axes but the last, as an expression of a
 * placeholder for each input.
 */
interface Steps {
  readonly parameters: readonly Node[]
  readonly result: Node
}

/** Neighbouring elementwise ops in one pass over the data: an instruction of a plan, which no expression contains. */
export const stepsOp: Op<Steps> = {
  name: 'steps',
  shape: (_, { result: { shape, dtype } }) => E.right({ shape, dtype }),
  misfit: fitsByShape,
  eval: (inputs, { parameters, result }, { size }) =>
    interpret([result], new Map(parameters.map((parameter, i) => [parameter, inputs[i]!])), size)[0]!,
  vjp: () => {
    throw new Error('steps are made after differentiation')
  },
  flops: (_, { result }, { size }) =>
    topological([result]).reduce(
      (sum, { op, inputs, attributes, shape }) =>
        sum +
        op.flops(
          inputs.map(input => input.shape.map(size)),
          attributes,
          { sizes: shape.map(size), size, inputs },
        ),
      0,
    ),
  kind: 'elementwise',
  along: broadcasting,
  dims: noDims,
  smooth: () => true,
}

/** The strides of an operand along rows and columns, in elements; that along the columns is 0 or 1. */
export interface Reading {
  readonly row: number
  readonly column: number
}

/**
 * A result as rows and columns, so that every operand repeats whole rows, whole columns, or both; undefined if there
 * is no such division, as for `[a, 1, c]` beside `[a, b, c]`.
 * @example rowsOf([32, 64], [[64], [32, 1], []]) // 32 rows, 64 columns; strides (0, 1), (1, 0) and (0, 0)
 */
export const rowsOf = (
  sizes: readonly number[],
  operands: readonly (readonly number[])[],
): { readonly rows: number; readonly columns: number; readonly readings: readonly Reading[] } | undefined => {
  /** The operands that run along an axis; neighbouring axes with the same ones are one. */
  const runs = (axis: number): readonly boolean[] =>
    operands.map(operand => (operand[axis - sizes.length + operand.length] ?? 1) !== 1)
  const parts = sizes
    .map((size, axis) => ({ size, runs: runs(axis) }))
    .filter(({ size }) => size !== 1)
    .reduce<readonly { readonly size: number; readonly runs: readonly boolean[] }[]>((done, part) => {
      const last = done.at(-1)
      return last !== undefined && last.runs.every((own, i) => own === part.runs[i])
        ? [...done.slice(0, -1), { ...last, size: last.size * part.size }]
        : [...done, part]
    }, [])
  if (parts.length > 2) return undefined
  const none = { size: 1, runs: operands.map(() => false) }
  const columns = parts.at(-1) ?? none
  const rows = parts.at(-2) ?? none
  return {
    rows: rows.size,
    columns: columns.size,
    readings: operands.map((_, i) => ({
      column: columns.runs[i]! ? 1 : 0,
      row: rows.runs[i]! ? (columns.runs[i]! ? columns.size : 1) : 0,
    })),
  }
}

/** The most steps of one instruction, and the most values that they read from outside. */
const mostSteps = 24
/** The most steps that an instruction computes again: more take longer than it takes to write and read their result. */
const mostRepeated = 5
export const mostInputs = 16

const isNumber = ({ dtype }: Node): boolean => dtype === 'f32' || dtype === 'bool'

/** The nodes that may be joined with a later one: those of its segment, those before it too, and what it computes again. */
const reaches = ['everywhere', 'before', 'near'] as const
type Reach = (typeof reaches)[number]

/** A schedule of which some nodes run as steps, in the place of the last of them; the others of them are left out. */
interface Joined {
  readonly order: readonly Node[]
  /** The steps that make a node. */
  readonly steps: ReadonlyMap<Node, Node>
}

/** The last of some steps, of which a sum adds up the results. */
const summed = (n: Node): Node => (is(n, sumOp) ? n.inputs[0]! : n)

/** Tests for sums over all axes but the last one, which is left. */
export const sumsRows = (n: Node): boolean => {
  if (!is(n, sumOp) || n.dtype !== 'f32') return false
  const rank = n.inputs[0]!.shape.length
  return rank > 1 && n.attributes.axes.length === rank - 1 && !n.attributes.axes.includes(rank - 1)
}

/**
 * Steps as rows and columns: the sizes of their results, and the operands, to which a sum adds its own result. Undefined
 * if there is no such division.
 */
export const stepRows = (
  result: Node,
  operands: readonly (readonly number[])[],
  size: (dim: Dim) => number,
): ReturnType<typeof rowsOf> => {
  const sizes = summed(result).shape.map(size)
  if (!is(result, sumOp)) return rowsOf(sizes, operands)
  const columns = sizes.at(-1)!
  const found = columns === 1 ? undefined : rowsOf(sizes, [...operands, [columns]])
  return found && { ...found, readings: found.readings.slice(0, -1) }
}

/**
 * Joins elementwise nodes of a schedule with the last of them, or with its sum, if all that read a result are among them.
 * What is cheap and is read elsewhere too is computed again instead of being kept. No more is held for it: nodes follow
 * one another, or what they read from outside is there anyway when the last of them runs, or is held in the place of as
 * many bytes.
 * @param isStep tests for nodes that the target runs as steps, or as the sum of steps
 * @param isHeld tests for nodes whose buffers are there as long as the program runs
 */
export const joined = (
  schedule: readonly Node[],
  outputs: readonly Node[],
  size: (dim: Dim) => number,
  isStep: (n: Node) => boolean,
  isHeld: (n: Node) => boolean,
): Joined => {
  const readers = new Map<Node, Set<Node>>()
  const read = (n: Node, by: Node): unknown => readers.set(n, (readers.get(n) ?? new Set<Node>()).add(by))
  for (const n of schedule) for (const input of n.inputs) read(input, n)
  const kept = new Set(outputs)
  const known = new Map<Node, { readonly sizes: readonly number[]; readonly text: string }>()
  const sized = (n: Node) => {
    const found = known.get(n)
    if (found !== undefined) return found
    const sizes = n.shape.map(size)
    const made = { sizes, text: sizes.join() }
    known.set(n, made)
    return made
  }
  const sizesOf = (n: Node): readonly number[] => sized(n).sizes
  const place = new Map(schedule.map((n, i) => [n, i]))
  const segmentOf = segmentsOf(schedule, n => isNumber(n) && n.inputs.every(isNumber) && isStep(n))
  const isElementwise = (n: Node): boolean => segmentOf.has(n) && !is(n, sumOp)
  const steps = new Map<Node, Node>()
  const inner = new Set<Node>()
  /** The buffers that are there at the present place of the schedule, which is gone through from its end. */
  const there = new Set<Node>(schedule.filter(n => n.op.kind === 'source' || kept.has(n) || isHeld(n)).map(rootOf))
  const isThere = (n: Node): boolean => there.has(rootOf(n))
  const bytesOf = (n: Node): number => count(sizesOf(n)) * bytesPerElement[n.dtype]
  // layers that are alike ask the same again
  const divided = new Map<string, boolean>()
  const hasRows = (given: readonly Node[], last: Node): boolean => {
    const key = `${is(last, sumOp)} ${sized(summed(last)).text} ${given.map(n => sized(n).text).join(' ')}`
    const found = divided.get(key) ?? stepRows(last, given.map(sizesOf), size) !== undefined
    divided.set(key, found)
    return found
  }
  const areSteps = (members: number, given: readonly Node[], last: Node): boolean =>
    given.length <= mostInputs && members <= mostSteps && hasRows(given, last)
  /** The members that nothing else reads, neither a node outside nor one that runs outside too. */
  const ownOf = (members: ReadonlySet<Node>, last: Node): ReadonlySet<Node> => {
    const own = new Set([last])
    for (const n of [...members].sort((a, b) => place.get(b)! - place.get(a)!))
      if (!kept.has(n) && areAll(readers.get(n)!, reader => own.has(reader))) own.add(n)
    return own
  }
  const isNear = (n: Node, last: Node): boolean => segmentOf.get(n) === segmentOf.get(last)
  /** Tests for nodes that may be computed again: a composite is several ops. */
  const mayRepeat = (n: Node, last: Node, reach: Reach): boolean =>
    n.op.cheap === true &&
    n.op.expand === undefined &&
    (reach === 'everywhere' || (reach === 'before' && !isNear(n, last)))
  /** The steps before a node that only it and others of them read, or that they may compute again. */
  const gathered = (last: Node, reach: Reach): ReadonlySet<Node> => {
    const sizes = sized(summed(last)).text
    const members = new Set([last])
    const own = new Set([last])
    /** The nodes that members read from outside. */
    const outside = new Set(last.inputs)
    const refused = new Set<Node>()
    // the latest first: each comes before all members, so that it changes none of those that are read by members alone
    const next = (): Node | undefined => {
      let late: Node | undefined
      for (const n of outside)
        if (
          !refused.has(n) &&
          isElementwise(n) &&
          (reach !== 'near' || isNear(n, last)) &&
          (late === undefined || place.get(n)! >= place.get(late)!)
        )
          late = n
      return late
    }
    for (let n = next(); n !== undefined; n = next()) {
      const isOwn = !kept.has(n) && areAll(readers.get(n)!, reader => own.has(reader))
      const given = (of: Node): readonly Node[] =>
        [...new Set([...outside, ...of.inputs])].filter(input => input !== of && !members.has(input))
      const isMember =
        sized(n).text === sizes &&
        (isOwn || (mayRepeat(n, last, reach) && !isThere(n))) &&
        areSteps(members.size + 1, given(n), last)
      if (!isMember) {
        refused.add(n)
        continue
      }
      members.add(n)
      if (isOwn) own.add(n)
      outside.delete(n)
      for (const input of n.inputs) if (!members.has(input)) outside.add(input)
    }
    return members
  }
  /** Leaves out members for which more would be held until the last of them runs. */
  const withoutHolding = (members: ReadonlySet<Node>, last: Node, reach: Reach): ReadonlySet<Node> => {
    const own = ownOf(members, last)
    const near = new Set([...members].filter(n => isNear(n, last)).flatMap(n => n.inputs))
    const far = [...members].filter(n => !isNear(n, last))
    const held = new Set(far.flatMap(n => n.inputs).filter(n => !members.has(n) && !near.has(n) && !isThere(n)))
    // what is far smaller than a result does not count
    const least = bytesOf(summed(last)) / 16
    const bytes = (nodes: Iterable<Node>): number =>
      [...nodes].map(bytesOf).reduce((sum, n) => (n < least ? sum : sum + n), 0)
    const holdsMore = bytes(held) > bytes(far.filter(n => near.has(n)))
    const left = [...members].filter(
      n =>
        n === last ||
        (!areAll(readers.get(n)!, reader => !members.has(reader)) &&
          (own.has(n) || mayRepeat(n, last, reach)) &&
          (isNear(n, last) || !holdsMore || !n.inputs.some(input => held.has(input)))),
    )
    return left.length === members.size ? members : withoutHolding(new Set(left), last, reach)
  }
  const isWorthwhile = (members: ReadonlySet<Node>, last: Node): boolean =>
    areSteps(members.size, inputsOf(members), last) && members.size - ownOf(members, last).size <= mostRepeated
  const clusterAt = (last: Node): ReadonlySet<Node> => {
    for (const reach of is(last, sumOp) ? reaches : reaches.slice(1)) {
      const members = withoutHolding(gathered(last, reach), last, reach)
      if (members.size > 1 && isWorthwhile(members, last)) return members
    }
    return new Set([last])
  }
  for (const last of schedule.toReversed()) {
    if (inner.has(last)) continue
    if (segmentOf.has(last) && !kept.has(last) && readers.get(last)!.size === 0) {
      // all that read it compute it again
      inner.add(last)
      for (const input of last.inputs) readers.get(input)!.delete(last)
      continue
    }
    const members = segmentOf.has(last) ? clusterAt(last) : new Set([last])
    const inputs = inputsOf(members)
    if (!is(last, reshapeOp)) for (const input of inputs) there.add(rootOf(input))
    if (members.size === 1) continue
    const parameters = inputs.map(({ shape, dtype }) => placeholder(shape, dtype))
    const [result] = substitute([last], new Map(inputs.map((input, i) => [input, parameters[i]!])))
    steps.set(last, node(stepsOp, inputs, { parameters, result: result! }))
    for (const input of inputs) read(input, last)
    const own = ownOf(members, last)
    for (const member of members) {
      if (member === last) continue
      if (own.has(member)) inner.add(member)
      else for (const reader of own) readers.get(member)!.delete(reader)
    }
  }
  return { order: schedule.filter(n => !inner.has(n)), steps }
}

/**
 * The segments of nodes that may be joined: those of one segment follow one another, and between them is nothing but
 * what exists before, or constants. A sum ends its segment.
 */
const segmentsOf = (schedule: readonly Node[], isFusible: (n: Node) => boolean): ReadonlyMap<Node, number> => {
  const segments = new Map<Node, number>()
  let segment = 0
  for (const n of schedule) {
    if (is(n, placeholderOp) || is(n, resultOp) || n.op.kind === 'source') continue
    if (isFusible(n)) segments.set(n, segment)
    if (!isFusible(n) || is(n, sumOp)) segment += 1
  }
  return segments
}

/** The node whose buffer a node is a view of. */
const rootOf = (n: Node): Node => (is(n, reshapeOp) ? rootOf(n.inputs[0]!) : n)

/** Tests all of some nodes, which may be many, up to the first that fails. */
const areAll = (nodes: Iterable<Node>, test: (n: Node) => boolean): boolean => {
  for (const n of nodes) if (!test(n)) return false
  return true
}

/** The nodes that members of a cluster read from outside, each once. */
const inputsOf = (members: ReadonlySet<Node>): readonly Node[] => [
  ...new Set([...members].flatMap(n => n.inputs).filter(n => !members.has(n))),
]
