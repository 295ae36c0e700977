import { footprintOf, programsOf, sizing, type Environment, type Llama, type Program, type Programs, type Size } from '../../src/index.ts'
import { wasmDevice } from '../../src/target/tfjs/wasm.ts'
import { measurement, type Measurement } from '../measurement.ts'
import { cachedSmolLM2, pacaStep, subject, type SubjectName } from '../subject.ts'

export interface PlanOptions { readonly model: SubjectName; readonly batch: number; readonly seq: number }

/** The programs of a PaCA step as the wasm target compiles them, and what binds their sizes. */
export const programsFor = async (model: Llama, { batch, seq }: PlanOptions): Promise<{ readonly programs: Programs; readonly size: Size }> => {
  const { layOut, expand, dispose } = await wasmDevice({ threads: 1 })
  await dispose()
  const environment: Environment = { ...model.dims, batch, seq }
  return { programs: programsOf(pacaStep(model), { layOut, expand }), size: sizing(environment, model.capacities) }
}

/** Milliseconds from the declared model to the plans of a whole step with their certificate, in a process that has compiled nothing yet. */
export const timePlan = async (options: PlanOptions): Promise<Measurement> => {
  const { model, close } = await subject(options.model)
  await close()
  const { layOut, expand, dispose } = await wasmDevice({ threads: 1 })
  await dispose()
  const start = performance.now()
  const programs = programsOf(pacaStep(model), { layOut, expand }), size = sizing({ ...model.dims, batch: options.batch, seq: options.seq }, model.capacities)
  const made: readonly Program[] = [programs.gradients(size), programs.norm(size), programs.update(size), programs.commit(size)]
  const peak = Math.max(...made.map(({ plan }) => footprintOf(plan).peak))
  return measurement([performance.now() - start], { peakBytes: peak, shapes: cachedSmolLM2() === undefined ? 'declared' : 'checkpoint' })
}
