import { rowsOf, stepsOp, type Slot } from '../../compile/index.ts'
import { bytesPerElement, castOp, count, is, topological, type Node } from '../../tensor/index.ts'
import type { OnHeap } from './heap-rows.ts'
import type { Lowering, Lowerings } from './lowering.ts'
import { programBytes, type Heap, type Kernels } from './wasm/index.ts'

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

/** Tests for nodes that the kernel of steps computes, one of them or several together. */
export const isStep = (n: Node): boolean =>
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
  const order = topological([result]).filter(step => !parameters.includes(step))
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

interface Machine {
  readonly heap: Heap
  readonly kernels: Kernels
  readonly scratch: number
}

/** The plan of an instruction of steps. Axes in front, if operands are not rows and columns of the result, are a loop. */
export const planSteps = (node: Node, inputs: readonly Slot[], output: Slot, machine: Machine): OnHeap =>
  rowWise(node, inputs, output, machine) ?? alongFirst(node, inputs, output, machine)

/** The same for each part along the first axis. */
const alongFirst = (node: Node, inputs: readonly Slot[], output: Slot, machine: Machine): OnHeap => {
  const [n = 1, ...rest] = output.sizes
  const isAlong = ({ sizes }: Slot): boolean => sizes.length === output.sizes.length && sizes[0] !== 1
  const part = (slot: Slot): Slot =>
    slot.sizes.length === output.sizes.length ? { ...slot, sizes: slot.sizes.slice(1) } : slot
  const run = planSteps(node, inputs.map(part), { ...output, sizes: rest }, machine)
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

/** The plan of an instruction whose operands are rows and columns of its result; undefined if they are not. */
const rowWise = (
  node: Node,
  inputs: readonly Slot[],
  output: Slot,
  { heap, kernels, scratch }: Machine,
): OnHeap | undefined => {
  const found = rowsOf(
    output.sizes,
    inputs.map(({ sizes }) => sizes),
  )
  if (found === undefined) return undefined
  const { rows, columns, readings } = found
  const steps = stepsOf(node)
  const program = Int32Array.from([
    ...readings.flatMap(({ row, column }, i) => [0, row, column, inputs[i]!.dtype === 'bool' ? 1 : 0]),
    ...steps.flatMap(({ code, reads: [a = 0, b = a, c = a], makes }) => [code, a, b, c, makes]),
  ])
  const first = scratch + 4 * inputWords * inputs.length
  const truth = output.dtype === 'bool' ? 1 : 0
  return (at, out) => {
    at.forEach((offset, i) => {
      program[inputWords * i] = offset
    })
    heap.views().i32.set(program, scratch / 4)
    kernels.runSteps(scratch, at.length, first, steps.length, scratch + programBytes, out, rows, columns, truth)
  }
}
