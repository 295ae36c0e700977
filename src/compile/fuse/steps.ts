import * as E from '../../either/index.ts'
import {
  broadcasting,
  fitsByShape,
  interpret,
  is,
  node,
  noDims,
  placeholder,
  placeholderOp,
  resultOp,
  substitute,
  topological,
  type Dim,
  type Node,
  type Op,
} from '../../tensor/index.ts'

/** Elementwise steps that run as one: the last of them, as an expression of a placeholder for each input. */
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
export const mostInputs = 16

const isNumber = ({ dtype }: Node): boolean => dtype === 'f32' || dtype === 'bool'

/** A schedule of which some nodes run as steps, in the place of the last of them; the others of them are left out. */
interface Joined {
  readonly order: readonly Node[]
  /** The steps that make a node. */
  readonly steps: ReadonlyMap<Node, Node>
}

/**
 * Joins elementwise nodes that follow one another in a schedule, if all that read a result are among them. What they
 * read from outside is there already, so that nothing is held for longer than that.
 * @param isStep tests for nodes that the target runs as steps
 */
export const joined = (
  schedule: readonly Node[],
  outputs: readonly Node[],
  size: (dim: Dim) => number,
  isStep: (n: Node) => boolean,
): Joined => {
  const readers = new Map<Node, Set<Node>>()
  for (const n of schedule)
    for (const input of n.inputs) readers.set(input, (readers.get(input) ?? new Set<Node>()).add(n))
  const kept = new Set(outputs)
  const sizesOf = (n: Node): readonly number[] => n.shape.map(size)
  const isFusible = (n: Node): boolean => isNumber(n) && n.inputs.every(isNumber) && isStep(n)
  const steps = new Map<Node, Node>()
  const inner = new Set<Node>()
  /** The nodes of a segment that are joined with its node at a place. */
  const clusterAt = (segment: readonly Node[], at: number): ReadonlySet<Node> => {
    const last = segment[at]!
    const sizes = sizesOf(last)
    const members = new Set([last])
    for (const n of segment.slice(0, at).toReversed()) {
      if (kept.has(n) || inner.has(n) || steps.has(n)) continue
      if (![...readers.get(n)!].every(reader => members.has(reader))) continue
      if (sizesOf(n).join() !== sizes.join()) continue
      members.add(n)
      const given = inputsOf(members)
      if (given.length > mostInputs || members.size > mostSteps || rowsOf(sizes, given.map(sizesOf)) === undefined)
        members.delete(n)
    }
    return members
  }
  for (const segment of segmentsOf(schedule, isFusible))
    for (let at = segment.length - 1; at > 0; at--) {
      if (inner.has(segment[at]!)) continue
      const members = clusterAt(segment, at)
      if (members.size === 1) continue
      const last = segment[at]!
      const inputs = inputsOf(members)
      const parameters = inputs.map(({ shape, dtype }) => placeholder(shape, dtype))
      const [result] = substitute([last], new Map(inputs.map((input, i) => [input, parameters[i]!])))
      steps.set(last, node(stepsOp, inputs, { parameters, result: result! }))
      for (const member of members) if (member !== last) inner.add(member)
    }
  return { order: schedule.filter(n => !inner.has(n)), steps }
}

/** Nodes that follow one another and may be joined: between them is nothing but what exists before, or constants. */
const segmentsOf = (schedule: readonly Node[], isFusible: (n: Node) => boolean): readonly (readonly Node[])[] => {
  const segments: Node[][] = [[]]
  for (const n of schedule) {
    if (is(n, placeholderOp) || is(n, resultOp) || n.op.kind === 'source') continue
    if (isFusible(n)) segments.at(-1)!.push(n)
    else if (segments.at(-1)!.length > 0) segments.push([])
  }
  return segments
}

/** The nodes that members of a cluster read from outside, each once. */
const inputsOf = (members: ReadonlySet<Node>): readonly Node[] => [
  ...new Set([...members].flatMap(n => n.inputs).filter(n => !members.has(n))),
]
