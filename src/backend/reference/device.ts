import type { Instruction, Plan } from '../../compile/index.ts'
import { bytesPerElement, misfitOf, type Dim, type Numbers } from '../../tensor/index.ts'
import { pieces, SessionError, type Buffer, type PromptDevice } from '../device.ts'
import { meant } from '../meant.ts'

/** A handle on a buffer, which counts its handles. */
export interface Held {
  readonly numbers: Numbers
  readonly dtype: Buffer['dtype']
  readonly buffer: { readonly bytes: number; handles: number }
  isHeld: boolean
}

const toNumbers = ({ sizes, dtype, data }: Buffer): Numbers => {
  if (dtype === 'bf16' || dtype === 'f16')
    throw new SessionError(`the reference target takes float32, not ${dtype}: convert the values first`)
  return { sizes, data: Float64Array.from(data as ArrayLike<number>) }
}

const fromNumbers = ({ sizes, data }: Numbers, dtype: Buffer['dtype']): Buffer => ({
  sizes,
  dtype,
  data: dtype === 'i32' ? Int32Array.from(data) : dtype === 'bool' ? Uint8Array.from(data) : Float32Array.from(data),
})

/** The oracle: every op's own float64 meaning, run by the same plans as on the other targets. Slow. */
export const referenceDevice = (): PromptDevice<Held> => {
  let bytes = 0
  const hold = (numbers: Numbers, dtype: Buffer['dtype']): Held => {
    const buffer = { bytes: numbers.data.length * bytesPerElement[dtype], handles: 1 }
    const held = { numbers, dtype, buffer, isHeld: true }
    bytes += buffer.bytes
    return held
  }
  const free = (held: Held): void => {
    held.isHeld = false
    held.buffer.handles -= 1
    if (held.buffer.handles === 0) bytes -= held.buffer.bytes
  }
  const run = (plan: Plan, inputs: readonly Held[], size: (dim: Dim) => number): readonly Held[] => {
    const held = new Map<number, Held>(plan.inputs.map((slot, i) => [slot, inputs[i]!]))
    try {
      for (const instruction of plan.instructions) runOne(instruction, plan, held, size)
    } catch (error) {
      const given = new Set(plan.inputs)
      for (const [slot, one] of held) if (!given.has(slot) && one.isHeld) free(one)
      throw error
    }
    return plan.outputs.map(slot => held.get(slot)!)
  }
  const runOne = (instruction: Instruction, plan: Plan, held: Map<number, Held>, size: (dim: Dim) => number): void => {
    switch (instruction.kind) {
      case 'run':
      case 'update': {
        const { node, inputs: read, output } = instruction
        const { sizes, dtype } = plan.slots[output]!
        const misfit = misfitOf(node, size)
        if (misfit !== undefined) throw new SessionError(misfit)
        held.set(
          output,
          hold(
            meant(
              node,
              read.map(slot => held.get(slot)!.numbers),
              { sizes, size },
            ),
            dtype,
          ),
        )
        if (instruction.kind === 'update') free(held.get(instruction.target)!)
        break
      }
      case 'alias': {
        const { numbers, dtype, buffer } = held.get(instruction.input)!
        const { sizes } = plan.slots[instruction.output]!
        buffer.handles += 1
        held.set(instruction.output, { numbers: { sizes, data: numbers.data }, dtype, buffer, isHeld: true })
        break
      }
      case 'call':
        run(
          instruction.plan,
          instruction.inputs.map(slot => held.get(slot)!),
          size,
        ).forEach((h, i) => held.set(instruction.outputs[i]!, h))
        break
      case 'free':
        free(held.get(instruction.slot)!)
        held.delete(instruction.slot)
        break
    }
  }
  return {
    name: 'reference',
    traits: { layOut: false, runs: () => true, inPlace: new Map([['put', [0]]]), chunk: pieces },
    limit: undefined,
    upload: buffer => hold(toNumbers(buffer), buffer.dtype),
    download: ({ numbers, dtype }) => Promise.resolve(fromNumbers(numbers, dtype)),
    free,
    run,
    isHeld: held => held.isHeld,
    bytes: () => bytes,
    dispose: () => Promise.resolve(),
  }
}
