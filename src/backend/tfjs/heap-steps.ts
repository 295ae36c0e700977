import { rowsOf, stepRows, stepsOp, sumsRows, type Slot } from '../../compile/index.ts'
import { bytesPerElement, castOp, count, is, sumOp, topological, type Node } from '../../tensor/index.ts'
import type { OnHeap } from './heap-rows.ts'
import type { Call, Lowering, Lowerings } from './lowering.ts'
import { sumParts, type WasmRuntime } from './wasm/index.ts'

/** The numbers of ops in assembly/steps.ts. */
const codes: Readonly<Record<string, number>> = {
  add: 0,
  sub: 1,
  mul: 2,
  div: 3,
  maximum: 4,
  minimum: 5,
  equal: 6,
  notEqual: 7,
  less: 8,
  lessEqual: 9,
  greater: 10,
  greaterEqual: 11,
  and: 12,
  or: 13,
  siluGrad: 14,
  select: 15,
  not: 16,
  neg: 17,
  exp: 18,
  log: 19,
  log1p: 20,
  sqrt: 21,
  rsqrt: 22,
  tanh: 23,
  sigmoid: 24,
  abs: 25,
  silu: 26,
  cast: 27,
  erf: 28,
}
const comparisons = new Set(['equal', 'notEqual'])
const isNumber = ({ dtype }: Pick<Node, 'dtype'>): boolean => dtype === 'f32' || dtype === 'bool'

/** Tests for nodes that the kernel of steps computes, one of them or several together, and for sums of their rows. */
export const isStep = (n: Node): boolean => isElementwise(n) || sumsRows(n)

const isElementwise = (n: Node): boolean =>
  Object.hasOwn(codes, n.op.name) &&
  isNumber(n) &&
  n.inputs.every(isNumber) &&
  (is(n, castOp)
    ? n.dtype === 'f32' && n.inputs[0]!.dtype === 'bool'
    : // lanes of ones are no numbers, which equal nothing
      !comparisons.has(n.op.name) || n.inputs.every(({ dtype }) => dtype === 'f32'))

/** Ops that have no kernel but that of steps. */
const alone = [
  'equal',
  'notEqual',
  'less',
  'lessEqual',
  'greater',
  'greaterEqual',
  'and',
  'or',
  'not',
  'select',
  'cast',
] as const
/** The lowerings of ops that have no kernel but that of steps, each with what computes it for other operands. */
export const stepAlone = (
  publicly: Lowerings,
  stepping: (otherwise: Lowering) => Lowering,
): Pick<Lowerings, (typeof alone)[number]> =>
  // an entry for each of these names
  Object.fromEntries(alone.map(name => [name, stepping(publicly[name])])) as Pick<Lowerings, (typeof alone)[number]>

/** Words of an input in assembly/steps.ts. */
const inputWords = 4

/** One step: its op, the values that it reads, and the value that it makes; values are numbered from the inputs on. */
interface Step {
  readonly code: number
  readonly reads: readonly number[]
  readonly makes: number
}

/** The steps of an instruction, in which a value takes the place of one that is not read again. */
const stepsOf = (n: Node): readonly Step[] => {
  if (!is(n, stepsOp)) return [{ code: codes[n.op.name]!, reads: n.inputs.map((_, i) => i), makes: n.inputs.length }]
  const { parameters, result } = n.attributes
  const order = topological([is(result, sumOp) ? result.inputs[0]! : result]).filter(step => !parameters.includes(step))
  const lastReader = new Map(order.flatMap(step => step.inputs.map(input => [input, step] as const)))
  const places = new Map(parameters.map((parameter, i) => [parameter, i]))
  const free: number[] = []
  let next = parameters.length
  return order.map(step => {
    const reads = step.inputs.map(input => places.get(input)!)
    for (const input of new Set(step.inputs))
      if (lastReader.get(input) === step && !parameters.includes(input)) free.push(places.get(input)!)
    const makes = free.pop() ?? next++
    places.set(step, makes)
    return { code: codes[step.op.name]!, reads, makes }
  })
}

const bytesOf = ({ sizes, dtype }: Slot): number => count(sizes) * bytesPerElement[dtype]

type Machine = Pick<WasmRuntime, 'heap' | 'steps' | 'scratch'> & {
  readonly scratchFor: (numbers: number) => number
}

/** The result of an instruction of steps, or of a single one. */
const resultOf = (n: Node): Node => (is(n, stepsOp) ? n.attributes.result : n)

/** The plan of an instruction of steps. Axes in front, if operands are not rows and columns of the result, are a loop. */
export const planSteps = (call: Call, machine: Machine): OnHeap => rowWise(call, machine) ?? alongFirst(call, machine)

/** The same for each part along the first axis. */
const alongFirst = ({ inputs, output, ...call }: Call, machine: Machine): OnHeap => {
  const [n = 1, ...rest] = output.sizes
  const isAlong = ({ sizes }: Slot): boolean => sizes.length === output.sizes.length && sizes[0] !== 1
  const part = (slot: Slot): Slot =>
    slot.sizes.length === output.sizes.length ? { ...slot, sizes: slot.sizes.slice(1) } : slot
  const run = planSteps({ ...call, inputs: inputs.map(part), output: { ...output, sizes: rest } }, machine)
  const step = (slot: Slot): number => (isAlong(slot) ? bytesOf(part(slot)) : 0)
  const steps = inputs.map(step)
  const made = step(output)
  return (at, out) => {
    for (let i = 0; i < n; i++)
      run(
        at.map((offset, k) => offset + i * steps[k]!),
        out + i * made,
      )
  }
}

/** The most columns that are read in one go: assembly/steps.ts repeats operands without rows in such a block. */
const blockColumns = 512

/** Rows of which several threads have some each, and so few that a row still fills blocks. */
const fewRows = [64, 32, 16, 8, 4, 2]

/**
 * Several short rows as one, if every operand has whole rows or is the same in all; one long row as several, if every
 * operand has all of it or is one number.
 */
const evenRows = ({ rows, columns, readings }: Rows): Rows => {
  if (rows === 1) {
    const parts = fewRows.find(k => columns % (4 * k) === 0 && columns >= blockColumns * k) ?? 1
    const each = columns / parts
    return { rows: parts, columns: each, readings: readings.map(({ column }) => ({ row: column * each, column })) }
  }
  const isEven = readings.every(({ row, column }) => row === 0 || (column === 1 && row === columns))
  const most = isEven && columns > 0 ? Math.max(1, Math.floor(blockColumns / columns)) : 1
  const merged = Array.from({ length: most }, (_, i) => most - i).find(k => rows % k === 0)!
  return {
    rows: rows / merged,
    columns: columns * merged,
    readings: readings.map(({ row, column }) => ({ row: row * merged, column })),
  }
}
type Rows = NonNullable<ReturnType<typeof rowsOf>>

/** The plan of an instruction whose operands are rows and columns of its result; undefined if they are not. */
const rowWise = ({ node, inputs, output, size }: Call, { heap, steps: run, scratch, scratchFor }: Machine) => {
  const operands = inputs.map(({ sizes }) => sizes)
  const isSum = is(resultOf(node), sumOp)
  const found = isSum ? stepRows(resultOf(node), operands, size) : rowsOf(output.sizes, operands)
  if (found === undefined) return undefined
  const { rows, columns, readings } = evenRows(found)
  const steps = stepsOf(node)
  const words = Int32Array.from([
    ...readings.flatMap(({ row, column }, i) => [0, row, column, inputs[i]!.dtype === 'bool' ? 1 : 0]),
    ...steps.flatMap(({ code, reads: [a = 0, b = a, c = a], makes }) => [code, a, b, c, makes]),
  ])
  const job = {
    inputs: scratch,
    given: inputs.length,
    program: scratch + 4 * inputWords * inputs.length,
    steps: steps.length,
    rows,
    columns,
    period: Math.min(found.columns, columns),
    truth: output.dtype === 'bool',
  }
  return (at: readonly number[], out: number): void => {
    at.forEach((offset, i) => {
      words[inputWords * i] = offset
    })
    const parts = isSum ? scratchFor(sumParts * job.period) : undefined
    heap.views().i32.set(words, scratch / 4)
    run({ ...job, output: out, parts })
  }
}
