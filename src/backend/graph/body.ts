import {
  declarationOf,
  hasEffect,
  isStateful,
  type Argument,
  type Attribute,
  type Attributes,
  type OperationName,
} from './operations.ts'
import { dataType, type GraphType } from './types.ts'

/** Something that another op can wait for. */
export interface Anchor {
  readonly node: string
}
/** A value in a body: an output of a node, or a parameter of the function. */
export interface Ref extends Anchor {
  readonly type: GraphType
  /** The form in which inputs name it. */
  readonly text: string
}
/** A node with all its results. */
export interface Added extends Anchor {
  readonly outputs: readonly Ref[]
}
export interface AddOptions {
  /** The nodes that must run before. */
  readonly control?: readonly Anchor[]
  readonly name?: string
}

/** TensorFlow's `NodeDef`. */
export interface NodeMessage {
  readonly name: string
  readonly op: string
  readonly input: readonly string[]
  readonly attr: Readonly<Record<string, object>>
}

/** The nodes of a function or of the main graph, in the order in which they are added. */
export interface Body {
  /**
   * Adds a node. Attributes that follow from the inputs' types may be left out.
   * @example body.add('Split', [axis, x], { num_split: { int: 3 } }).outputs
   */
  readonly add: (
    operation: OperationName,
    inputs: readonly Ref[],
    attributes?: Attributes,
    options?: AddOptions,
  ) => Added
  /** Adds a node and returns its first result. @example body.apply('AddV2', [a, b]) */
  readonly apply: (
    operation: OperationName,
    inputs: readonly Ref[],
    attributes?: Attributes,
    options?: AddOptions,
  ) => Ref
  /** A small constant: a scalar, a vector, or values with their sizes. @example body.constant([0, 2, 1], 'i32') */
  readonly constant: (values: number | readonly number[], type: ConstantType, sizes?: readonly number[]) => Ref
  /** The value in another type, or itself if it has that type. */
  readonly cast: (x: Ref, type: GraphType) => Ref
  /** The nodes added so far. */
  readonly nodes: () => readonly NodeMessage[]
  /** The nodes that must run even if nothing reads their results. */
  readonly effects: () => readonly Anchor[]
  readonly stateful: () => boolean
}
export type ConstantType = 'f32' | 'i32' | 'i64' | 'bool'

const encoder = new TextEncoder()
export const shapeMessage = (shape: readonly number[] | undefined): object =>
  shape === undefined ? { unknown_rank: true } : { dim: shape.map(size => ({ size })) }

/** An attribute as TensorFlow's `AttrValue`. */
const attributeMessage = (a: Attribute): object =>
  'type' in a
    ? { type: dataType[a.type] }
    : 'types' in a
      ? { list: { type: a.types.map(type => dataType[type]) } }
      : 'int' in a
        ? { i: a.int }
        : 'ints' in a
          ? { list: { i: a.ints } }
          : 'float' in a
            ? { f: a.float }
            : 'bool' in a
              ? { b: a.bool }
              : 'text' in a
                ? { s: encoder.encode(a.text) }
                : 'bytes' in a
                  ? { s: a.bytes }
                  : 'shape' in a
                    ? { shape: shapeMessage(a.shape) }
                    : 'function' in a
                      ? { func: { name: a.function } }
                      : 'functions' in a
                        ? { list: { func: a.functions.map(name => ({ name })) } }
                        : {
                            tensor: {
                              dtype: dataType[a.tensor.type],
                              tensor_shape: shapeMessage(a.tensor.sizes),
                              tensor_content: a.tensor.content,
                            },
                          }

const arrays = { f32: Float32Array, i32: Int32Array, i64: BigInt64Array, bool: Uint8Array } as const
const contentOf = (values: readonly number[], type: ConstantType): Uint8Array => {
  const data = type === 'i64' ? BigInt64Array.from(values, BigInt) : arrays[type].from(values)
  return new Uint8Array(data.buffer)
}

const isGraphType = (text: string): text is GraphType => Object.hasOwn(dataType, text)

/** The attributes that follow from the inputs. Throws if they do not fit the op, which is a bug in the compiler. */
const inferred = (
  operation: OperationName,
  declared: readonly Argument[],
  inputs: readonly Ref[],
  given: Attributes,
): Attributes => {
  const known: Record<string, Attribute> = { ...given }
  const mismatch = (): never => {
    throw new Error(`${operation} does not take [${inputs.map(({ type }) => type).join(', ')}]`)
  }
  const bind = (name: string, type: GraphType): void => {
    const before = known[name]
    if (isGraphType(name) ? name !== type : before !== undefined && !('type' in before && before.type === type))
      mismatch()
    if (!isGraphType(name)) known[name] = { type }
  }
  let next = 0
  declared.forEach(({ type, kind, count }, at) => {
    const length = kind === 'one' ? 1 : inputs.length - next - (declared.length - 1 - at)
    const taken = inputs.slice(next, next + length)
    if (length < 0 || taken.length < length) mismatch()
    next += length
    if (kind === 'list') known[type] = { types: taken.map(ref => ref.type) }
    else for (const ref of taken) bind(type, ref.type)
    if (count !== undefined) known[count] = { int: length }
  })
  return next === inputs.length ? known : mismatch()
}

/** The types of an output. */
const typesOf = (
  operation: OperationName,
  { type, kind, count }: Argument,
  attributes: Attributes,
): readonly GraphType[] => {
  const found = isGraphType(type) ? { type } : attributes[type]
  const number = count === undefined ? { int: 1 } : attributes[count]
  if (kind === 'list' && found !== undefined && 'types' in found) return found.types
  if (kind !== 'list' && found !== undefined && 'type' in found && number !== undefined && 'int' in number) {
    const { type: element } = found
    return Array.from({ length: number.int }, () => element)
  }
  throw new Error(`${operation} needs the attribute ${found === undefined ? type : count}`)
}

/**
 * An empty body. An input is written as `node:result:index` in a function, `node:index` in the main graph. Equal
 * constants, and equal computations of integers from them (sizes), become one node.
 * @example const body = emptyBody('function'); body.apply('Neg', [body.constant(1, 'f32')])
 */
export const emptyBody = (kind: 'function' | 'graph', parameters: readonly string[] = []): Body => {
  const nodes: NodeMessage[] = []
  const effects: Anchor[] = []
  const used = new Set(parameters)
  const same = new Map<string, Added>()
  let stateful = false
  const nameFor = (wanted: string): string => {
    let name = wanted
    for (let n = nodes.length; used.has(name); n++) name = `${wanted}_${n}`
    used.add(name)
    return name
  }
  const add: Body['add'] = (operation, inputs, attributes = {}, { control = [], name: wanted } = {}) => {
    const declared = declarationOf(operation)
    const known = inferred(operation, declared.inputs, inputs, attributes)
    const types = declared.outputs.map(output => typesOf(operation, output, known))
    const input = [...inputs.map(ref => ref.text), ...new Set(control.map(({ node }) => `^${node}`))]
    const attr = Object.fromEntries(Object.entries(known).map(([key, value]) => [key, attributeMessage(value)]))
    const isSize = operation === 'Const' || types.flat().every(type => type === 'i32')
    const key =
      isSize && types.length > 0 && wanted === undefined && control.length === 0 && !isStateful(operation)
        ? JSON.stringify([operation, input, attr])
        : undefined
    const before = key === undefined ? undefined : same.get(key)
    if (before) return before
    const node = nameFor(wanted ?? operation)
    const outputs = declared.outputs.flatMap((output, i) =>
      types[i]!.map((type, index): Ref => {
        const position = types.slice(0, i).flat().length + index
        return { node, type, text: kind === 'graph' ? `${node}:${position}` : `${node}:${output.name}:${index}` }
      }),
    )
    const made = { node, outputs }
    nodes.push({ name: node, op: operation, input, attr })
    if (hasEffect(operation)) effects.push({ node })
    stateful ||= isStateful(operation)
    if (key !== undefined) same.set(key, made)
    return made
  }
  const apply: Body['apply'] = (...of) => {
    const [first] = add(...of).outputs
    if (first === undefined) throw new Error(`${of[0]} has no result`)
    return first
  }
  return {
    add,
    apply,
    constant: (values, type, sizes) => {
      const all = typeof values === 'number' ? [values] : values
      const tensor = {
        type,
        sizes: sizes ?? (typeof values === 'number' ? [] : [all.length]),
        content: contentOf(all, type),
      }
      return apply('Const', [], { dtype: { type }, value: { tensor } })
    },
    cast: (x, type) => (x.type === type ? x : apply('Cast', [x], { DstT: { type } })),
    nodes: () => nodes,
    effects: () => effects,
    stateful: () => stateful,
  }
}
