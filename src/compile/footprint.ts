import { bytesOf, outputSources, type Plan } from './plan.ts'

/** The bytes that a plan holds beyond its inputs: at its peak, and at its end. Negative if it frees donated inputs. */
export interface Footprint {
  readonly peak: number
  readonly end: number
}

const footprints = new WeakMap<Plan, Footprint>()

/** The exact bytes of a plan, by following every buffer from birth to death. Blocks are followed once. */
export const footprintOf = (plan: Plan): Footprint => {
  const known = footprints.get(plan)
  if (known) return known
  const buffers = new Map<number, { bytes: number; handles: number }>()
  const bufferOf = new Map<number, number>()
  let now = 0
  let peak = 0
  const hold = (slot: number, buffer: number): void => {
    bufferOf.set(slot, buffer)
    buffers.get(buffer)!.handles += 1
  }
  const make = (slot: number, counted = true): void => {
    buffers.set(slot, { bytes: bytesOf(plan.slots[slot]!), handles: 0 })
    hold(slot, slot)
    if (counted) now += bytesOf(plan.slots[slot]!)
    peak = Math.max(peak, now)
  }
  plan.inputs.forEach(slot => make(slot, false))
  for (const instruction of plan.instructions) {
    switch (instruction.kind) {
      case 'run':
        make(instruction.output)
        break
      case 'update':
        hold(instruction.output, bufferOf.get(instruction.target)!)
        drop(instruction.target)
        break
      case 'alias':
        hold(instruction.output, bufferOf.get(instruction.input)!)
        break
      case 'call': {
        peak = Math.max(peak, now + footprintOf(instruction.plan).peak)
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
  }
  function drop(slot: number): void {
    const buffer = buffers.get(bufferOf.get(slot)!)!
    buffer.handles -= 1
    if (buffer.handles === 0) now -= buffer.bytes
  }
  const footprint = { peak, end: now }
  footprints.set(plan, footprint)
  return footprint
}
