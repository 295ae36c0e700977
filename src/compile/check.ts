import type { Instruction, Plan } from './plan.ts'

/**
 * Walks a plan and reports its faults: a handle that is read before it is created or after it is freed, freed twice,
 * created twice or never freed; a freed input that was not donated; an output that is not alive at the end. It is
 * written independently of the planner, and simpler, so that the two do not share a mistake.
 */
export const faultsOf = (plan: Plan, name = 'plan'): readonly string[] => {
  const state = new Map<number, 'alive' | 'dead'>(plan.inputs.map(slot => [slot, 'alive']))
  const faults: string[] = []
  const use = (slot: number, at: number): void => {
    if (state.get(slot) !== 'alive')
      faults.push(`${name}[${at}] reads ${slot}, which is ${state.get(slot) ?? 'not made'}`)
  }
  const make = (slot: number, at: number): void => {
    if (state.has(slot)) faults.push(`${name}[${at}] makes ${slot} twice`)
    state.set(slot, 'alive')
  }
  const end = (slot: number, at: number): void => {
    use(slot, at)
    if (plan.inputs.includes(slot) && !plan.donated.includes(slot))
      faults.push(`${name}[${at}] frees the input ${slot}, which is not its own`)
    state.set(slot, 'dead')
  }
  const checked = new Set<Plan>()
  plan.instructions.forEach((instruction: Instruction, at) => {
    switch (instruction.kind) {
      case 'run':
        instruction.inputs.forEach(slot => use(slot, at))
        make(instruction.output, at)
        break
      case 'update':
        instruction.inputs.forEach(slot => use(slot, at))
        end(instruction.target, at)
        make(instruction.output, at)
        break
      case 'alias':
        use(instruction.input, at)
        make(instruction.output, at)
        break
      case 'call':
        instruction.inputs.forEach(slot => use(slot, at))
        instruction.outputs.forEach(slot => make(slot, at))
        if (!checked.has(instruction.plan)) faults.push(...faultsOf(instruction.plan, instruction.name))
        checked.add(instruction.plan)
        break
      case 'free':
        end(instruction.slot, at)
        break
    }
  })
  const outputs = new Set(plan.outputs)
  if (outputs.size !== plan.outputs.length) faults.push(`${name} returns one handle twice`)
  for (const slot of outputs) if (state.get(slot) !== 'alive') faults.push(`${name} ends without its output ${slot}`)
  for (const [slot, alive] of state) {
    const owned = !plan.inputs.includes(slot) || plan.donated.includes(slot)
    if (alive === 'alive' && owned && !outputs.has(slot)) faults.push(`${name} leaks ${slot}`)
  }
  return faults
}
