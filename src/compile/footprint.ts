import type { Node } from '../tensor/index.ts'
import { bytesOf, outputSources, type Plan } from './plan.ts'

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

const footprints = new WeakMap<Plan, Footprint>()

/** The exact bytes of a plan, by following every buffer from birth to death. Blocks are followed once. */
export const footprintOf = (plan: Plan): Footprint => {
  const known = footprints.get(plan)
  if (known) return known
  const buffers = new Map<number, { bytes: number; handles: number }>()
  const made = new Map<number, Sized>()
  const bufferOf = new Map<number, number>()
  let now = 0
  let peak = 0
  let largest: Sized | undefined
  const after: number[] = []
  const reach = (bytes: number, inner?: Sized): void => {
    if (bytes <= peak) return
    peak = bytes
    largest = [...made.values(), ...(inner ? [inner] : [])].reduce<Sized | undefined>(
      (most, one) => (most && most.bytes >= one.bytes ? most : one),
      undefined,
    )
  }
  const hold = (slot: number, buffer: number): void => {
    bufferOf.set(slot, buffer)
    buffers.get(buffer)!.handles += 1
  }
  const make = (slot: number, { counted = true, node }: { readonly counted?: boolean; readonly node?: Node } = {}) => {
    const bytes = bytesOf(plan.slots[slot]!)
    buffers.set(slot, { bytes, handles: 0 })
    hold(slot, slot)
    if (node) made.set(slot, { node, bytes })
    if (counted) now += bytes
    reach(now)
  }
  plan.inputs.forEach(slot => {
    make(slot, { counted: false })
  })
  for (const instruction of plan.instructions) {
    switch (instruction.kind) {
      case 'run':
        make(instruction.output, { node: instruction.node })
        break
      case 'update':
        hold(instruction.output, bufferOf.get(instruction.target)!)
        drop(instruction.target)
        break
      case 'alias':
        hold(instruction.output, bufferOf.get(instruction.input)!)
        break
      case 'call': {
        const inner = footprintOf(instruction.plan)
        reach(now + inner.peak, inner.largest)
        const sources = outputSources(instruction.plan)
        instruction.outputs.forEach((slot, i) => {
          const source = sources[i]!
          if (source === undefined) make(slot)
          else hold(slot, bufferOf.get(instruction.inputs[source]!)!)
        })
        break
      }
      case 'free':
        drop(instruction.slot)
        break
    }
    after.push(now)
  }
  function drop(slot: number): void {
    const of = bufferOf.get(slot)!
    const buffer = buffers.get(of)!
    buffer.handles -= 1
    if (buffer.handles > 0) return
    now -= buffer.bytes
    made.delete(of)
  }
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
