import type { Traits } from '../../src/index.ts'
import { footprintOf, programsOf, sizing, type Program, type Programs, type Size } from '../../src/compiler.ts'
import type { CausalLM } from '../../src/model.ts'
import { wasmDevice } from '../../src/backend/tfjs/wasm-device.ts'
import { measurement, type Measurement } from '../measurement.ts'
import { stepOf, subject, type SubjectName } from '../subject.ts'

export interface PlanOptions {
  readonly model: SubjectName
  readonly batch: number
  readonly seq: number
}

interface Prepared {
  readonly programs: Programs
  readonly size: Size
}

/** The programs of a PaCA step as the wasm target compiles them, and the sources of their sizes. */
export const programsFor = (model: CausalLM, { batch, seq }: PlanOptions, target: Traits): Prepared => ({
  programs: programsOf(stepOf(model, 'paca'), target),
  size: sizing({ ...model.dims, batch, seq }, model.capacities),
})

/** The facts about the wasm target that the compiler needs. */
export const wasmTarget = async (): Promise<Traits> => {
  const { traits, dispose } = await wasmDevice({ threads: 1 })
  await dispose()
  return traits
}

/**
 * Milliseconds from the declared model to the plans of a whole step with their footprints, in a process that has
 * compiled nothing yet.
 */
export const timePlan = async (options: PlanOptions): Promise<Measurement> => {
  const { model, from, close } = await subject(options.model)
  const target = await wasmTarget()
  await close()
  const start = performance.now()
  const { programs, size } = programsFor(model, options, target)
  const made: readonly Program[] = [
    programs.gradients(size),
    programs.norm(size),
    programs.update(size),
    programs.commit(size),
  ]
  const peak = Math.max(...made.map(({ plan }) => footprintOf(plan).peak))
  return measurement([performance.now() - start], { peakBytes: peak, model: from })
}
