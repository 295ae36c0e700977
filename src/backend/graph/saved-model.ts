import { shapeMessage, type Body, type Ref } from './body.ts'
import type { Library } from './library.ts'
import { encode } from './proto.ts'
import { dataType } from './types.ts'

/** A signature of a graph: values of the main graph, by the names of the caller's inputs and outputs. */
export interface GraphSignature {
  readonly inputs: Readonly<Record<string, Ref>>
  readonly outputs: Readonly<Record<string, Ref>>
}

/** A whole graph, to be written to a file and loaded. */
export interface Graph {
  readonly main: Body
  readonly library: Library
  readonly signatures: Readonly<Record<string, GraphSignature>>
}

const tensorInfo = ({ text, type }: Ref): object => ({
  name: text,
  dtype: dataType[type],
  tensor_shape: shapeMessage(undefined),
})
const mapped = <A, B>(record: Readonly<Record<string, A>>, f: (a: A) => B): Readonly<Record<string, B>> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value)]))

/** The tag under which the graph is found in its file. */
export const graphTag = 'serve'

/** The version of the graphs, which run in every TensorFlow that tfjs-node 4.22 is built with, and later ones. */
const versions = { producer: 1087, min_consumer: 12 }

const fileOf = (graph_def: object, signatures: Graph['signatures']): Uint8Array =>
  encode('SavedModel', {
    saved_model_schema_version: 1,
    meta_graphs: [
      {
        meta_info_def: { tags: [graphTag] },
        graph_def,
        signature_def: mapped(signatures, ({ inputs, outputs }) => ({
          inputs: mapped(inputs, tensorInfo),
          outputs: mapped(outputs, tensorInfo),
          method_name: 'partensor',
        })),
      },
    ],
  })

/** A graph as the contents of TensorFlow's `saved_model.pb`. */
export const savedModel = ({ main, library, signatures }: Graph): Uint8Array =>
  fileOf({ node: main.nodes(), library: { function: library.functions() }, versions }, signatures)

/** The same without the nodes: only this part is read of a graph that TensorFlow has already loaded. */
export const signaturesOnly = ({ signatures }: Graph): Uint8Array => fileOf({ versions }, signatures)
