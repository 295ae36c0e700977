import type { Device, Instruction, Plan } from '../src/index.ts'

/** An instruction that computes something, with the plan whose slots it names. */
export type Computing = Extract<Instruction, { readonly kind: 'run' | 'update' }>
/** Called after every instruction, before anything that has died is freed. */
export type Observer = (instruction: Computing, plan: Plan, milliseconds: number) => void

/**
 * A device that gives plans to another one instruction at a time and says what each took; buffers are born and die in the plan's order.
 * @example await openSession(step, observed(await wasmDevice({ threads: 2 }), (i, _, ms) => console.log(i.node.op.name, ms)), { weights })
 */
export const observed = <H>(device: Device<H>, observe: Observer): Device<H> => {
  const single = new WeakMap<Instruction, Plan>()
  /** The instruction as a plan of its own, made once, so that the device prepares it once. */
  const alone = (plan: Plan, instruction: Instruction, inputs: readonly number[], output: number): Plan => {
    const known = single.get(instruction) ?? { slots: plan.slots, inputs, donated: [], outputs: [output], instructions: [instruction] }
    single.set(instruction, known)
    return known
  }
  const run: Device<H>['run'] = (plan, inputs, size) => {
    const held = new Map(plan.inputs.map((slot, i) => [slot, inputs[i]!])), at = (slot: number): H => held.get(slot)!
    for (const instruction of plan.instructions) {
      switch (instruction.kind) {
        case 'free': device.free(at(instruction.slot)); held.delete(instruction.slot); break
        case 'call': run(instruction.plan, instruction.inputs.map(at), size).forEach((handle, i) => held.set(instruction.outputs[i]!, handle)); break
        case 'alias': held.set(instruction.output, device.run(alone(plan, instruction, [instruction.input], instruction.output), [at(instruction.input)], size)[0]!); break
        case 'run': case 'update': {
          const start = performance.now()
          const [made] = device.run(alone(plan, instruction, instruction.inputs, instruction.output), instruction.inputs.map(at), size)
          observe(instruction, plan, performance.now() - start)
          held.set(instruction.output, made!)
          if (instruction.kind === 'update') held.delete(instruction.inputs[0]!)
        }
      }
    }
    return plan.outputs.map(at)
  }
  return { ...device, run }
}
