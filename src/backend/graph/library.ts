import { emptyBody, type Added, type AddOptions, type Anchor, type Body, type NodeMessage, type Ref } from './body.ts'
import type { Attributes } from './operations.ts'
import { encode } from './proto.ts'
import { dataType, type GraphType } from './types.ts'

/** A function of a graph: the facts that a call needs. */
export interface GraphFunction {
  readonly name: string
  readonly parameters: readonly GraphType[]
  readonly results: readonly GraphType[]
  /** True if it reads or changes variables. */
  readonly stateful: boolean
  /** True if TensorFlow's XLA compiles it to one kernel. */
  readonly xla: boolean
}

/** The source of a function. */
export interface FunctionSource {
  /** The beginning of its name. */
  readonly name: string
  readonly parameters: readonly GraphType[]
  /** Writes the nodes and returns the results. All effects of the body are kept. */
  readonly write: (body: Body, parameters: readonly Ref[]) => readonly Ref[]
  readonly xla?: boolean
}

/** TensorFlow's `FunctionDef`. */
interface FunctionMessage {
  readonly signature: object
  readonly node_def: readonly NodeMessage[]
  readonly ret: Readonly<Record<string, string>>
  readonly control_ret: Readonly<Record<string, string>>
  readonly attr: Readonly<Record<string, object>>
}

/** The functions of a graph. */
export interface Library {
  /** Adds a function, or returns an equal one that exists. */
  readonly define: (source: FunctionSource) => GraphFunction
  readonly functions: () => readonly FunctionMessage[]
}

const isTrue = { b: true }

/**
 * An empty library, in which equal functions are one. Functions are neither inlined, nor specialised for their callers,
 * nor optimised again when they are first called: each of these costs seconds at the first step, and the compiler has
 * already done its work.
 */
export const emptyLibrary = (): Library => {
  const messages: FunctionMessage[] = []
  const same = new Map<string, GraphFunction>()
  return {
    define: ({ name, parameters, write, xla = false }) => {
      const names = parameters.map((_, i) => `p${i}`)
      const body = emptyBody('function', names)
      const results = write(
        body,
        parameters.map((type, i): Ref => ({ node: names[i]!, text: names[i]!, type })),
      )
      const effects = body.effects()
      const is_stateful = body.stateful()
      const content = {
        node_def: body.nodes(),
        ret: Object.fromEntries(results.map(({ text }, i) => [`r${i}`, text])),
        control_ret: Object.fromEntries(effects.map(({ node }) => [node, node])),
        attr: {
          _noinline: isTrue,
          _nospecialize: isTrue,
          _tf_data_function: isTrue,
          ...(xla ? { _XlaMustCompile: isTrue } : {}),
        },
      }
      const key = JSON.stringify([parameters, results.map(({ type }) => type), content])
      const before = same.get(key)
      if (before) return before
      const made = {
        name: `${name}_${messages.length}`,
        parameters,
        results: results.map(({ type }) => type),
        stateful: is_stateful,
        xla,
      }
      const signature = {
        name: made.name,
        is_stateful,
        control_output: effects.map(({ node }) => node),
        input_arg: parameters.map((type, i) => ({ name: names[i]!, type: dataType[type] })),
        output_arg: results.map(({ type }, i) => ({ name: `r${i}`, type: dataType[type] })),
      }
      messages.push({ signature, ...content })
      same.set(key, made)
      return made
    },
    functions: () => messages,
  }
}

/** The configuration of a call: the graph optimizer leaves the function alone. */
const config = encode('ConfigProto', { graph_options: { rewrite_options: { disable_meta_optimizer: true } } })

const callAttributes = (called: GraphFunction): Attributes => ({
  f: { function: called.name },
  Tin: { types: called.parameters },
  Tout: { types: called.results },
  config_proto: { bytes: config },
  _noinline: { bool: true },
  ...(called.xla ? { _XlaMustCompile: { bool: true } } : {}),
})

/** Calls a function. @example const [y] = called(body, square, [x]).outputs */
export const called = (body: Body, f: GraphFunction, inputs: readonly Ref[], options: AddOptions = {}): Added =>
  body.add(f.stateful ? 'StatefulPartitionedCall' : 'PartitionedCall', inputs, callAttributes(f), options)

/**
 * Calls `turn` on its own results as long as `condition` holds for them; both have the same parameters. One turn runs
 * at a time.
 */
export const whileLoop = (
  body: Body,
  condition: GraphFunction,
  turn: GraphFunction,
  inputs: readonly Ref[],
  options: AddOptions = {},
): Added =>
  body.add(
    'While',
    inputs,
    { cond: { function: condition.name }, body: { function: turn.name }, parallel_iterations: { int: 1 } },
    options,
  )

/** Calls one of two functions with the same parameters and results. */
export const branch = (
  body: Body,
  condition: Ref,
  then: GraphFunction,
  otherwise: GraphFunction,
  inputs: readonly Ref[],
  options: AddOptions = {},
): Added =>
  body.add(
    'If',
    [condition, ...inputs],
    {
      then_branch: { function: then.name },
      else_branch: { function: otherwise.name },
      Tout: { types: then.results },
    },
    options,
  )

/**
 * Calls one of several functions with the same parameters and results, by the index in an int32 scalar.
 * @example choice(body, which, [square, cube], [x])
 */
export const choice = (
  body: Body,
  index: Ref,
  functions: readonly GraphFunction[],
  inputs: readonly Ref[],
  options: AddOptions = {},
): Added =>
  body.add(
    'Case',
    [index, ...inputs],
    { branches: { functions: functions.map(({ name }) => name) }, Tout: { types: functions[0]!.results } },
    options,
  )

/** A value that is ready only after other nodes have run. @example after(body, loss, updates) */
export const after = (body: Body, x: Ref, anchors: readonly Anchor[]): Ref =>
  body.apply('Identity', [x], {}, { control: anchors })

/**
 * One node that waits for several, so that its many dependents need not name all of them.
 * @example writeRows(body, held, rows, values, [allOf(body, readers)])
 */
export const allOf = (body: Body, anchors: readonly Anchor[]): Anchor => body.add('NoOp', [], {}, { control: anchors })
