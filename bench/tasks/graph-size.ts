import { llama } from '../../src/model.ts'
import { compiledGraph } from '../../src/backend/graph/compiled.ts'
import { savedModel } from '../../src/backend/graph/saved-model.ts'
import { elapsed, measurement, type Measurement } from '../measurement.ts'
import { stepOf } from '../subject.ts'
import { smolShapes } from '../shapes.ts'

export interface GraphSizeOptions {
  readonly layers: number
}

/** The bytes of the graph of a PaCA step of SmolLM2's shapes with `layers` layers, as written for TensorFlow. */
export const measureGraph = async ({ layers }: GraphSizeOptions): Promise<Measurement> => {
  let bytes = 0
  const time = await elapsed(() => {
    const { entry } = compiledGraph(stepOf(llama({ ...smolShapes, num_hidden_layers: layers }), 'paca'), {
      precision: 'bf16',
      xla: true,
    })
    bytes = savedModel(entry.graph()).byteLength
  })
  return measurement([time], { bytes })
}
