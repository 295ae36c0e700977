import {
  blockOf,
  bytesPerElement,
  count,
  is,
  loopOp,
  placeholderOp,
  reshapeOp,
  resultOp,
  takeOp,
  topological,
  type Block,
  type Dim,
  type DType,
  type Node,
  type NodeOf,
} from '../tensor/index.ts'
import { joined, withoutBroadcasts } from './fuse/index.ts'

/** A buffer's handle: two handles may share one buffer, for instance those of a reshape and its input. */
export interface Slot {
  readonly sizes: readonly number[]
  readonly dtype: DType
}

/**
 * One instruction. `run` makes a new buffer; `update` writes its result into the buffer of an input, its target, which
 * nothing reads again; `alias` is a second handle on a buffer; `call` runs another plan; `free` releases a handle.
 */
export type Instruction =
  | { readonly kind: 'run'; readonly node: Node; readonly inputs: readonly number[]; readonly output: number }
  | {
      readonly kind: 'update'
      readonly node: Node
      readonly inputs: readonly number[]
      readonly target: number
      readonly output: number
    }
  | { readonly kind: 'alias'; readonly input: number; readonly output: number }
  | {
      readonly kind: 'call'
      readonly name: string
      readonly plan: Plan
      readonly inputs: readonly number[]
      readonly outputs: readonly number[]
    }
  | { readonly kind: 'free'; readonly slot: number }

/**
 * A program as a list that includes every buffer's birth and death. Inputs belong to the caller unless they are
 * donated.
 */
export interface Plan {
  readonly slots: readonly Slot[]
  readonly inputs: readonly number[]
  readonly donated: readonly number[]
  readonly outputs: readonly number[]
  readonly instructions: readonly Instruction[]
}

export const bytesOf = ({ sizes, dtype }: Slot): number => count(sizes) * bytesPerElement[dtype]

interface Request {
  readonly inputs: readonly Node[]
  readonly outputs: readonly Node[]
  readonly size: (dim: Dim) => number
  /** Inputs that the program may free or overwrite, such as those that a step replaces. */
  readonly donated?: ReadonlySet<Node>
  readonly inPlace?: InPlace
  /** Tests for nodes that the target can run in one pass with their neighbours. */
  readonly isStep?: (n: Node) => boolean
}

/** For each op that a target can run in place, the inputs whose buffer may hold the result; float32 only. */
export type InPlace = ReadonlyMap<string, readonly number[]>

/** Orders a program, and determines the birth and death of every buffer. Each block is planned once. */
export const planOf = (
  { inputs, outputs: given, size, donated = new Set(), inPlace = new Map(), isStep = () => false }: Request,
  blocks: Map<Block, Plan> = new Map(),
): Plan => {
  const outputs = withoutBroadcasts(given)
  const slots: Slot[] = []
  const slotOf = new Map<Node, number>()
  const body: Instruction[] = []
  const fresh = (n: Node): number => slots.push({ sizes: n.shape.map(size), dtype: n.dtype }) - 1
  for (const input of inputs) slotOf.set(input, fresh(input))
  const { order, steps } = joined(
    schedule(outputs),
    outputs,
    size,
    n => !slotOf.has(n) && isStep(n),
    n => slotOf.has(n) && !donated.has(n),
  )
  const results = resultsByCall(order)
  for (const n of order) {
    if (slotOf.has(n) || n.op === resultOp) continue
    const made = steps.get(n) ?? n
    const read = made.inputs.map(input => slotOf.get(input)!)
    const block = blockOf(n)
    if (block) {
      const plan =
        blocks.get(block) ?? planOf({ inputs: block.parameters, outputs: block.outputs, size, inPlace, isStep }, blocks)
      blocks.set(block, plan)
      const own = block.outputs.map(fresh)
      for (const result of results.get(n) ?? []) slotOf.set(result, own[result.attributes.index]!)
      body.push({ kind: 'call', name: block.name, plan, inputs: read, outputs: own })
    } else {
      if (is(n, placeholderOp)) throw new Error('the program reads a placeholder that is none of its inputs')
      if (is(n, loopOp)) throw new Error('a plan has a call for each step of a loop')
      const output = fresh(n)
      slotOf.set(n, output)
      body.push(
        is(n, reshapeOp)
          ? { kind: 'alias', input: read[0]!, output }
          : { kind: 'run', node: made, inputs: read, output },
      )
    }
  }
  // every output is a separate handle, so that the caller can free each
  const taken = new Set(inputs.map(input => slotOf.get(input)!))
  const finals = outputs.map(output => {
    const slot = slotOf.get(output)!
    if (!taken.has(slot)) {
      taken.add(slot)
      return slot
    }
    const alias = fresh(output)
    body.push({ kind: 'alias', input: slot, output: alias })
    return alias
  })
  const own = inputs.filter(input => donated.has(input)).map(input => slotOf.get(input)!)
  return withDeaths(
    { slots, inputs: inputs.map(input => slotOf.get(input)!), donated: own, outputs: finals, instructions: body },
    inPlace,
  )
}

type Result = NodeOf<{ readonly index: number }>
const resultsByCall = (order: readonly Node[]): ReadonlyMap<Node, readonly Result[]> => {
  const results = new Map<Node, Result[]>()
  for (const n of order) if (is(n, resultOp)) results.set(n.inputs[0]!, [...(results.get(n.inputs[0]!) ?? []), n])
  return results
}

/**
 * Orders inputs before users, depth first in the order of the outputs; a `take` runs as early as possible, so that its
 * operand can die.
 */
const schedule = (outputs: readonly Node[]): readonly Node[] => {
  const order = topological(outputs)
  const takes = new Map<Node, Node[]>()
  for (const n of order) if (is(n, takeOp)) takes.set(n.inputs[0]!, [...(takes.get(n.inputs[0]!) ?? []), n])
  const done = new Set<Node>()
  const result: Node[] = []
  const emit = (n: Node): void => {
    if (done.has(n)) return
    done.add(n)
    result.push(n)
    for (const take of takes.get(n) ?? [])
      if (take.inputs.every(input => done.has(input) || input.inputs.length === 0)) {
        take.inputs.forEach(emit)
        emit(take)
      }
  }
  order.forEach(emit)
  return result
}

const reads = (instruction: Instruction): readonly number[] =>
  instruction.kind === 'free' ? [] : instruction.kind === 'alias' ? [instruction.input] : instruction.inputs
const makes = (instruction: Instruction): readonly number[] =>
  instruction.kind === 'free' ? [] : instruction.kind === 'call' ? instruction.outputs : [instruction.output]

/**
 * Adds a `free` after the last use of every handle that the program owns; a result that can be written into a dying
 * buffer becomes an update.
 */
const withDeaths = (plan: Plan, inPlace: InPlace): Plan => {
  const lastUse = new Map<number, number>()
  plan.instructions.forEach((instruction, i) =>
    [...reads(instruction), ...makes(instruction)].forEach(slot => lastUse.set(slot, i)),
  )
  const kept = new Set(plan.outputs)
  const borrowed = new Set(plan.inputs.filter(slot => !plan.donated.includes(slot)))
  const mortal = (slot: number): boolean => !borrowed.has(slot) && !kept.has(slot)
  const buffers = buffersOf(plan)
  /** Tests that no handle on the slot's buffer is used after an instruction, or belongs to the caller. */
  const isLast = (slot: number, at: number): boolean =>
    buffers.handlesOf(slot).every(handle => mortal(handle) && (lastUse.get(handle) ?? -1) <= at)
  /**
   * An input whose buffer can hold the result: the op reads no other input from that buffer, unless element by element.
   */
  const targetOf = (
    { node, inputs, output }: Extract<Instruction, { readonly kind: 'run' }>,
    isFree: (slot: number) => boolean,
  ): number | undefined => {
    const candidates = (node.dtype === 'f32' ? inPlace.get(node.op.name) : undefined) ?? []
    return candidates
      .map(k => inputs[k]!)
      .find(
        slot =>
          isFree(slot) &&
          sameSlot(plan.slots[slot]!, plan.slots[output]!) &&
          inputs.every((other, k) =>
            other === slot ? candidates.includes(k) : !buffers.handlesOf(slot).includes(other),
          ),
      )
  }

  const unread = plan.donated
    .filter(slot => !lastUse.has(slot) && mortal(slot))
    .map((slot): Instruction => ({ kind: 'free', slot }))
  const instructions = plan.instructions.flatMap((instruction, i): readonly Instruction[] => {
    const dying = [...new Set([...reads(instruction), ...makes(instruction)])].filter(
      slot => mortal(slot) && lastUse.get(slot) === i,
    )
    const target =
      instruction.kind === 'run' ? targetOf(instruction, slot => dying.includes(slot) && isLast(slot, i)) : undefined
    const frees = dying.filter(slot => slot !== target).map((slot): Instruction => ({ kind: 'free', slot }))
    if (instruction.kind !== 'run' || target === undefined) return [instruction, ...frees]
    buffers.join(instruction.output, target)
    return [{ ...instruction, kind: 'update', target }, ...frees]
  })
  return { ...plan, instructions: [...unread, ...instructions] }
}

const sameSlot = (a: Slot, b: Slot): boolean => a.dtype === b.dtype && a.sizes.join() === b.sizes.join()

/** Finds the handles that share a buffer. A call's result may share one with an argument, so it is taken to do so. */
const buffersOf = ({ slots, instructions }: Plan) => {
  const groups: number[][] = slots.map((_, slot) => [slot])
  const join = (a: number, b: number): void => {
    if (groups[a] === groups[b]) return
    const joined = [...groups[a]!, ...groups[b]!]
    for (const slot of joined) groups[slot] = joined
  }
  for (const i of instructions) {
    if (i.kind === 'alias') join(i.output, i.input)
    if (i.kind === 'call')
      i.outputs.forEach((slot, k) => {
        const source = outputSources(i.plan)[k]
        if (source !== undefined) join(slot, i.inputs[source]!)
      })
  }
  return { join, handlesOf: (slot: number): readonly number[] => groups[slot]! }
}

/** For each output of a plan, the input whose buffer it shares, if any. */
export const outputSources = (plan: Plan): readonly (number | undefined)[] => {
  const root = new Map<number, number>(plan.inputs.map((slot, i) => [slot, i]))
  for (const i of plan.instructions) {
    const from = i.kind === 'alias' ? i.input : i.kind === 'update' ? i.target : -1
    if ((i.kind === 'alias' || i.kind === 'update') && root.has(from)) root.set(i.output, root.get(from)!)
  }
  return plan.outputs.map(slot => root.get(slot))
}
