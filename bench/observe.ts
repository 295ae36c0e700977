import type { Device, Instruction, Plan } from '../src/compiler.ts'

/** An instruction that computes something, with the plan whose slots it names. */
export type Computing = Extract<Instruction, { readonly kind: 'run' | 'update' }>
/** Called after every instruction, before anything that has died is freed. */
export type Observer = (instruction: Computing, plan: Plan, milliseconds: number) => void

/**
 * A device that passes plans to another one instruction at a time and reports the time of each; buffers are born and
 * die in the plan's order.
 * @example await openSession(step, deviceEngine(observed(await wasmDevice({ threads: 2 }), (i, _, ms) => console.log(i.node.op.name, ms))), { weights })
 */
export const observed = <H>(device: Device<H>, observe: Observer): Device<H> => {
  const known = new WeakMap<Instruction, Plan>()
  /** The instruction as a plan of its own, made once, so that the device prepares it once. */
  const alone = (plan: Plan, instruction: Instruction, inputs: readonly number[], output: number): Plan => {
    const made = known.get(instruction) ?? {
      slots: plan.slots,
      inputs,
      donated: [],
      outputs: [output],
      instructions: [instruction],
    }
    known.set(instruction, made)
    return made
  }
  const only = async (...of: Parameters<Device<H>['run']>): Promise<H> => (await device.run(...of))[0]!
  const run: Device<H>['run'] = async (plan, inputs, size) => {
    // a plan only reads existing buffers
    const held = new Map(plan.inputs.map((slot, i) => [slot, inputs[i] as H]))
    const at = (slot: number): H => held.get(slot) as H
    for (const instruction of plan.instructions) {
      switch (instruction.kind) {
        case 'free':
          device.free(at(instruction.slot))
          held.delete(instruction.slot)
          break
        case 'call':
          for (const [i, handle] of (await run(instruction.plan, instruction.inputs.map(at), size)).entries())
            held.set(instruction.outputs[i]!, handle)
          break
        case 'alias': {
          const { input, output } = instruction
          held.set(output, await only(alone(plan, instruction, [input], output), [at(input)], size))
          break
        }
        case 'run':
        case 'update': {
          const single = alone(plan, instruction, instruction.inputs, instruction.output)
          const given = instruction.inputs.map(at)
          const start = performance.now()
          const made = await only(single, given, size)
          observe(instruction, plan, performance.now() - start)
          held.set(instruction.output, made)
          if (instruction.kind === 'update') held.delete(instruction.target)
        }
      }
    }
    return plan.outputs.map(at)
  }
  return { ...device, run }
}
