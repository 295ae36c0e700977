import { unrolled } from '../../src/compile/unroll.ts'
import { blockOf, count, inlined, is, rebuild, resultOp, type Node } from '../../src/tensor/index.ts'
import { openNative } from '../../src/backend/native/load.ts'
import type { Native } from '../../src/backend/native/native.ts'
import {
  called,
  choice,
  emptyBody,
  emptyLibrary,
  graphLowerings,
  isFloat,
  loadGraph,
  lowered,
  shapeOf,
  sizesIn,
  type Body,
  type FloatType,
  type Graph,
  type GraphFunction,
  type GraphLowerings,
  type Ref,
  type Size,
} from '../../src/backend/graph/index.ts'
import type { Instance } from './op-subjects.ts'

/** TensorFlow, if the tests run for real. */
export const native = async (): Promise<Native> => {
  const opened = await openNative()
  if (opened._tag === 'Left') throw new Error(opened.left)
  return opened.right
}

export interface Lowering {
  readonly lowerings?: GraphLowerings
  /** The type in which float leaves are stored. */
  readonly stored?: FloatType
  /** The type in which products are computed. */
  readonly compute?: FloatType
  /** The time when sizes are known: when the graph is written, or when they are fed. */
  readonly sizes: 'static' | 'fed'
  /** True if XLA compiles each instance. */
  readonly xla?: boolean
}

/** An expression with blocks in the place of their calls, and with the turns of loops one after the other. */
const flat = (root: Node, size: Instance['size']): Node => {
  const [written] = unrolled([root], size) as readonly [Node]
  return rebuild([written], rebuilt => {
    const [call] = rebuilt.inputs
    const block = call && blockOf(call)
    return is(rebuilt, resultOp) && block ? inlined(block, call.inputs)[rebuilt.attributes.index]! : rebuilt
  })(written)
}

/** The numbers that an instance is fed: floats, and before all other integers the sizes of names. */
const numbersOf = ({ leaves, feeds, sizes }: Instance, float: boolean): readonly number[] => [
  ...(float ? [] : Object.values(sizes)),
  ...leaves.filter(leaf => isFloat(leaf.dtype) === float).flatMap(leaf => [...feeds.get(leaf)!.data]),
]

/** A part of a vector. */
const part = (body: Body, x: Ref, begin: number, length: number): Ref =>
  body.apply('Slice', [x, body.constant([begin], 'i32'), body.constant([length], 'i32')])

/** An instance as a function of its leaves, and of the sizes of names where these are fed. */
const functionOf = (
  { root, leaves, sizes: known, size: sizeOf }: Instance,
  library: Graph['library'],
  { lowerings = graphLowerings, stored = 'f32', compute = 'f32', sizes, xla = false }: Lowering,
): GraphFunction => {
  const names = Object.keys(known)
  return library.define({
    name: 'instance',
    xla,
    parameters: [...leaves.map(leaf => leaf.dtype), ...names.map(() => 'i32' as const)],
    write: (body, parameters) => {
      const size = sizesIn(body, (name): Size =>
        sizes === 'fed' ? parameters[leaves.length + names.indexOf(name)]! : known[name]!,
      )
      const given = new Map(
        leaves.map((leaf, i) => [leaf, isFloat(leaf.dtype) ? body.cast(parameters[i]!, stored) : parameters[i]!]),
      )
      return lowered(lowerings, [flat(root, sizeOf)], given, { body, size, compute, compiled: xla })
    },
  })
}

/**
 * Many instances behind one signature: `integers` begin with the number of the instance; `floats` and the other
 * integers are its leaves.
 */
export const graphOf = (instances: readonly Instance[], lowering: Lowering): Graph => {
  const main = emptyBody('graph')
  const library = emptyLibrary()
  const branches = instances.map(instance =>
    library.define({
      name: 'branch',
      parameters: ['f32', 'i32'],
      write: (body, [floats, integers]) => {
        const { leaves, sizes, size } = instance
        const f = functionOf(instance, library, lowering)
        let atFloat = 0
        let atInteger = 1
        const next = (float: boolean, n: number): Ref => {
          const taken = float ? part(body, floats!, atFloat, n) : part(body, integers!, atInteger, n)
          if (float) atFloat += n
          else atInteger += n
          return taken
        }
        const named = Object.keys(sizes).map(() => body.apply('Reshape', [next(false, 1), body.constant([], 'i32')]))
        const x = leaves.map(leaf => {
          const data = next(isFloat(leaf.dtype), count(leaf.shape.map(size)))
          return body.cast(body.apply('Reshape', [data, shapeOf(leaf.shape, { body, size })]), leaf.dtype)
        })
        const [y] = called(body, f, [...x, ...named]).outputs
        return [body.apply('Reshape', [body.cast(y!, 'f32'), body.constant([-1], 'i32')]), body.apply('Shape', [y!])]
      },
    }),
  )
  const run = library.define({
    name: 'run',
    parameters: ['f32', 'i32'],
    write: (body, [floats, integers]) =>
      choice(body, body.apply('Reshape', [part(body, integers!, 0, 1), body.constant([], 'i32')]), branches, [
        floats!,
        integers!,
      ]).outputs,
  })
  const floats = main.apply('Placeholder', [], { dtype: { type: 'f32' } }, { name: 'floats' })
  const integers = main.apply('Placeholder', [], { dtype: { type: 'i32' } }, { name: 'integers' })
  const [y, shape] = called(main, run, [floats, integers]).outputs
  return { main, library, signatures: { run: { inputs: { floats, integers }, outputs: { y: y!, shape: shape! } } } }
}

export interface Result {
  readonly sizes: readonly number[]
  readonly data: ArrayLike<number>
}

/** The results of instances, computed by TensorFlow. */
export const resultsOf = async (instances: readonly Instance[], lowering: Lowering): Promise<readonly Result[]> => {
  const graph = await loadGraph(await native(), graphOf(instances, lowering))
  try {
    return instances.map((instance, i) => {
      const floats = numbersOf(instance, true)
      const integers = [i, ...numbersOf(instance, false)]
      const { y, shape } = graph.run('run', {
        floats: { sizes: [floats.length], dtype: 'f32', data: Float32Array.from(floats) },
        integers: { sizes: [integers.length], dtype: 'i32', data: Int32Array.from(integers) },
      })
      return { sizes: [...shape!.data], data: y!.data }
    })
  } finally {
    graph.dispose()
  }
}
