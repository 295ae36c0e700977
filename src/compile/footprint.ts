import type { Node } from '../tensor/index.ts'
import { bytesOf, outputSources, type Instruction, type Plan } from './plan.ts'

type Made = Extract<Instruction, { readonly kind: 'run' }>
type Called = Extract<Instruction, { readonly kind: 'call' }>

/** The work of a walk over a plan with its buffers. */
export interface Walk<B> {
  /** A buffer for the result of an instruction. */
  readonly make: (bytes: number, made: Made) => B
  /** The buffers of a call's results: its inputs' own, or others. */
  readonly call: (called: Called, inputs: readonly B[], plan: Plan) => readonly B[]
  /** Is told of a buffer whose last handle is released. */
  readonly free: (buffer: B) => void
  /** Is told of the end of an instruction. */
  readonly done?: () => void
}

/** Follows every buffer of a plan from birth to death, and returns those of its outputs. */
export const walkPlan = <B>(plan: Plan, inputs: readonly B[], walk: Walk<B>): readonly B[] => {
  const handles = new Map<B, number>()
  const bufferOf = new Map<number, B>()
  const hold = (slot: number, buffer: B): void => {
    bufferOf.set(slot, buffer)
    handles.set(buffer, (handles.get(buffer) ?? 0) + 1)
  }
  const drop = (slot: number): void => {
    const buffer = bufferOf.get(slot)!
    const left = handles.get(buffer)! - 1
    handles.set(buffer, left)
    if (left === 0) walk.free(buffer)
  }
  plan.inputs.forEach((slot, i) => hold(slot, inputs[i]!))
  for (const instruction of plan.instructions) {
    switch (instruction.kind) {
      case 'run':
        hold(instruction.output, walk.make(bytesOf(plan.slots[instruction.output]!), instruction))
        break
      case 'update':
        hold(instruction.output, bufferOf.get(instruction.target)!)
        drop(instruction.target)
        break
      case 'alias':
        hold(instruction.output, bufferOf.get(instruction.input)!)
        break
      case 'call': {
        const passed = instruction.inputs.map(slot => bufferOf.get(slot)!)
        const made = walk.call(instruction, passed, plan)
        instruction.outputs.forEach((slot, i) => hold(slot, made[i]!))
        break
      }
      case 'free':
        drop(instruction.slot)
        break
    }
    walk.done?.()
  }
  return plan.outputs.map(slot => bufferOf.get(slot)!)
}

/** A value and its bytes. */
export interface Sized {
  readonly node: Node
  readonly bytes: number
}

/** The bytes that a plan holds beyond its inputs: at its peak, and at its end. Negative if it frees donated inputs. */
export interface Footprint {
  readonly peak: number
  readonly end: number
  /** The largest value that an instruction has made and that is there at the peak; results of calls are not among them. */
  readonly largest: Sized | undefined
  /** The bytes after each instruction. */
  readonly after: readonly number[]
}

/** A buffer of a plan. */
type Held = Pick<Sized, 'bytes'>

const footprints = new WeakMap<Plan, Footprint>()

/** The exact bytes of a plan, by following every buffer from birth to death. Blocks are followed once. */
export const footprintOf = (plan: Plan): Footprint => {
  const known = footprints.get(plan)
  if (known) return known
  let now = 0
  let peak = 0
  let largest: Sized | undefined
  const after: number[] = []
  // values that instructions have made, in their order
  const made = new Map<Held, Sized>()
  const reach = (bytes: number, inner?: Sized): void => {
    if (bytes <= peak) return
    peak = bytes
    const values = [...made.values(), ...(inner ? [inner] : [])]
    const most = Math.max(...values.map(one => one.bytes))
    largest = values.find(one => one.bytes === most)
  }
  const grow = (buffer: Held): Held => {
    now += buffer.bytes
    reach(now)
    return buffer
  }
  const given = plan.inputs.map((slot): Held => ({ bytes: bytesOf(plan.slots[slot]!) }))
  walkPlan<Held>(plan, given, {
    make: (bytes, { node }) => {
      const value = { node, bytes }
      made.set(value, value)
      return grow(value)
    },
    call: ({ plan: inner, outputs }, inputs) => {
      const within = footprintOf(inner)
      reach(now + within.peak, within.largest)
      const sources = outputSources(inner)
      return outputs.map((slot, i) => {
        const source = sources[i]
        return source === undefined ? grow({ bytes: bytesOf(plan.slots[slot]!) }) : inputs[source]!
      })
    },
    free: buffer => {
      now -= buffer.bytes
      made.delete(buffer)
    },
    done: () => {
      after.push(now)
    },
  })
  const footprint = { peak, end: now, largest, after }
  footprints.set(plan, footprint)
  return footprint
}

/**
 * The bytes that a plan holds as soon as its first outputs are made: those that live from the forward to the backward
 * pass, with these outputs.
 * @example savedIn(program.plan, 2)
 */
export const savedIn = (plan: Plan, outputs: number): number => {
  const first = new Set(plan.outputs.slice(0, outputs))
  const { instructions } = plan
  const last = instructions.findLastIndex(instruction => {
    if (instruction.kind === 'free' || instruction.kind === 'alias') return false
    return (instruction.kind === 'call' ? instruction.outputs : [instruction.output]).some(slot => first.has(slot))
  })
  const next = instructions.findIndex(({ kind }, i) => i > last && kind !== 'free')
  return footprintOf(plan).after[(next < 0 ? instructions.length : next) - 1] ?? 0
}
