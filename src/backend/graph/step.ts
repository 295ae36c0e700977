import { chunkOp, type WholePrograms } from '../../compile/index.ts'
import { concatOp, is, loopOp, reshapeOp, resultOp, sliceOp, type Node, type NodeOf } from '../../tensor/index.ts'
import type { Ref } from './body.ts'
import type { Refs } from './entry.ts'
import { assignAll, readAll, type Resource } from './held.ts'
import { branch, called, type Library } from './library.ts'
import { replacing, write } from './program.ts'
import type { Replacement } from './replace.ts'
import { asList, materialised, scopeIn, type Scope, type Sink, type Writing } from './scope.ts'
import {
  answered,
  asF32,
  batchInputs,
  bufferName,
  fedBatch,
  realInput,
  single,
  type Defining,
  type Source,
} from './source.ts'
import type { GraphType } from './types.ts'

/**
 * Defines a step as one question, unless the model has buffers: loss, gradients, their norm, and the update if all of it
 * is finite. Also defines its parts, for micro-batches: gradients are summed in variables that are otherwise empty, and then applied.
 */
export const defineSteps = ({ define, library, writing }: Defining, source: Source): void => {
  const { programs, whole, holdings, precision } = source
  const batch = batchInputs(programs)
  const gradients = whole.gradients()
  const apply = whole.apply()
  const update = updateFunction(source, library, writing, apply)
  /** The loss, the count, the next buffers, and the gradient of every variable, with stacks as lists. */
  const backward = (
    scope: Scope,
    given: Refs,
    { sum: loss, count: scored, buffers, gradients: made } = gradients,
  ): { readonly sum: Ref; readonly count: Ref; readonly next: readonly Ref[]; readonly lists: readonly Ref[] } => {
    const { body } = scope
    const [sum, count, ...rest] = write(
      scope,
      [loss, scored, ...buffers, ...made.map(([, node]) => node)],
      fedBatch(body, programs, given),
    )
    const next = rest.slice(0, buffers.length)
    const ofVariables = rest.slice(buffers.length)
    return {
      sum: asF32(body, sum!),
      count: asF32(body, count!),
      next: next.map(x => answered(body, materialised(scope, x))),
      lists: made.map(([variable, node], i) =>
        variable.family ? asList(scope, ofVariables[i]!, node) : ofVariables[i]!,
      ),
    }
  }
  /** The same as a call of one function, which the questions share: it is most of a graph. */
  const differentiated = (scope: Scope, given: Refs): ReturnType<typeof backward> => {
    const names = Object.keys(given)
    const inputs = [...Object.values(given), ...scope.sizes]
    let elements: readonly (GraphType | undefined)[] = []
    let buffers = 0
    const f = library.define({
      name: 'gradients',
      parameters: inputs.map(({ type }) => type),
      write: (into, refs) => {
        const inner = scopeIn(into, refs.slice(names.length), writing, precision)
        const { sum, count, next, lists } = backward(
          inner,
          Object.fromEntries(names.map((name, i) => [name, refs[i]!])),
        )
        elements = lists.map(({ text }) => inner.stacks.get(text)?.element)
        buffers = next.length
        return [sum, count, ...next, ...lists]
      },
    })
    const made = called(scope.body, f, inputs)
    scope.readers.push(made)
    const [sum, count, ...rest] = made.outputs
    const lists = rest.slice(buffers)
    lists.forEach((list, i) => {
      const element = elements[i]
      if (element) scope.stacks.set(list.text, { list, element })
    })
    return { sum: sum!, count: count!, next: rest.slice(0, buffers), lists }
  }
  /** The norm, and the update if the sum and the norm are finite. */
  const applied = (scope: Scope, sum: Ref, count: Ref, lists: readonly Ref[]): Ref => {
    const { body } = scope
    const given = new Map<Node, Ref>([
      [programs.count, count],
      ...gradients.gradients.map(([variable], i): readonly [Node, Ref] => [variable.node, lists[i]!]),
    ])
    const inner: Scope = { ...scope, precision: single }
    const [norm] = write(inner, [apply.norm], given)
    const finite = [sum, norm!].map(x => body.apply('IsFinite', [x]))
    const scored = body.apply('Less', [body.constant(0, 'f32'), count])
    const inputs = [count, norm!, sum, ...lists, ...scope.sizes]
    const f = update(
      inputs.map(({ type }) => type),
      gradients.gradients.map((_, i) => scope.stacks.get(lists[i]!.text)?.element),
    )
    const nothing = library.define({
      name: 'nothing',
      parameters: inputs.map(({ type }) => type),
      write: into => [into.constant(0, 'i32')],
    })
    branch(
      body,
      body.apply('LogicalAnd', [body.apply('LogicalAnd', [finite[0]!, finite[1]!]), scored]),
      f,
      nothing,
      inputs,
    )
    return norm!
  }
  // next buffers are checked before anything is updated, so that a step with buffers is one in parts
  if (programs.buffers.length === 0)
    define('step', batch, precision, (scope, given) => {
      const { sum, count, lists } = differentiated(scope, given)
      return { sum, count, norm: applied(scope, sum, count, lists) }
    })

  const accumulating = (scope: Scope, given: Refs, add: (resource: Resource, x: Ref) => void): Refs => {
    const { body } = scope
    const { sum, count, next, lists } = differentiated(scope, given)
    gradients.gradients.forEach(([variable], i) => {
      add(holdings.of(variable.node)!, asF32(body, materialised(scope, lists[i]!)))
    })
    return { sum, count, ...Object.fromEntries(next.map((x, i) => [bufferName(i), x])) }
  }
  define('accumulate/first', batch, precision, (scope, given) =>
    accumulating(scope, given, (resource, x) => {
      assignAll(scope.body, resource, x)
    }),
  )
  define('accumulate/more', batch, precision, (scope, given) =>
    accumulating(scope, given, (resource, x) => {
      assignAll(scope.body, resource, scope.body.apply('AddV2', [readAll(scope.body, resource), x]))
    }),
  )
  const products = whole.hvp?.()
  if (products) {
    define('hvp', batch, precision, (scope, given) => {
      const { body } = scope
      const { sum, count, lists } = backward(scope, given, products)
      const made = lists.map(x => asF32(body, materialised(scope, x)))
      // products replace the tangents only after all tangents have been read
      products.gradients.forEach(([variable], i) => {
        assignAll(body, holdings.of(variable.node)!, made[i]!, made)
      })
      return { sum, count }
    })
  }
  define('apply', { sum: realInput, count: realInput }, single, (scope, { sum, count }) => {
    const lists = gradients.gradients.map(([variable]) => {
      const resource = holdings.of(variable.node)!
      const read = readAll(scope.body, resource)
      return variable.family ? asList(scope, read, variable.leaves[0]!) : read
    })
    return { norm: applied(scope, sum!, count!, lists) }
  })
  define('forget', {}, single, ({ body }) => {
    for (const held of holdings.gradients)
      assignAll(body, held, body.apply('Fill', [body.constant([0], 'i32'), body.constant(0, 'f32')]))
    return {}
  })
}

/** The update as a function of the count, the norm and the gradients; its result is meaningless. */
const updateFunction =
  (
    { programs, holdings }: Source,
    library: Library,
    writing: Writing,
    { norm, replaced }: ReturnType<WholePrograms['apply']>,
  ) =>
  (parameters: readonly GraphType[], elements: readonly (GraphType | undefined)[]) =>
    library.define({
      name: 'update',
      parameters,
      write: (into, [count, normRef, sum, ...rest]) => {
        const lists = rest.slice(0, elements.length)
        const scope = scopeIn(into, rest.slice(elements.length), writing, single)
        const given = new Map<Node, Ref>([
          [programs.count, count!],
          [programs.loss, sum!],
          [norm, normRef!],
        ])
        holdings.gradients.forEach(({ variable }, i) => {
          const element = elements[i]
          if (element) scope.stacks.set(lists[i]!.text, { list: lists[i]!, element })
          given.set(variable.node, lists[i]!)
        })
        const parts = replaced.flatMap(([variable, node]) =>
          partsOf(node, variable.node).map(part => ({ ...part, variable, resource: holdings.of(variable.node)! })),
        )
        // a loop writes its result for a stack itself, layer by layer
        const sinks = new Map<Node, Map<number, Sink>>()
        const made: Node[] = []
        for (const { node, from, resource } of parts) {
          if (!isLooped(node)) continue
          const [call] = node.inputs as [Node]
          const own = sinks.get(call) ?? new Map<number, Sink>()
          if (own.size === 0) made.push(node)
          sinks.set(call, own.set(node.attributes.index, { resource, from }))
        }
        const others = parts
          .filter(({ node }) => !isLooped(node))
          .map(({ node, from, resource, variable }): Replacement => ({
            resource,
            leaf: variable.node,
            output: node,
            layer: alike(node, variable.node) ? undefined : into.constant(from, 'i32'),
          }))
        replacing(scope, made, others, given, sinks)
        return [into.constant(0, 'i32')]
      },
    })

const alike = (a: Node, b: Node): boolean => a.shape.join() === b.shape.join()
/** True for a value that is computed by layers or pieces, each of which can be written in place. */
const isLooped = (n: Node): n is NodeOf<{ readonly index: number }> => {
  const [made] = n.inputs
  if (!is(n, resultOp) || made === undefined) return false
  if (!is(made, chunkOp)) return is(made, loopOp)
  const whole = made.attributes.outputs[n.attributes.index]
  return whole?.kind === 'rows' && whole.axis === 0
}

/**
 * The replacements for the layers of a stack, each with the number of its first layer: the layers of one loop together,
 * others one by one. Unchanged layers are left out.
 */
const partsOf = (node: Node, stack: Node): readonly { readonly node: Node; readonly from: number }[] => {
  if (!is(node, concatOp) || node.attributes.axis !== 0 || !alike(node, stack)) return [{ node, from: 0 }]
  let next = 0
  return node.inputs.flatMap(piece => {
    const from = next
    next += Number(piece.shape[0])
    const whole = is(piece, sliceOp) ? piece.inputs[0] : piece
    if (whole === stack) return []
    if (isLooped(piece)) return [{ node: piece, from }]
    if (!is(piece, reshapeOp) || piece.shape[0] !== 1)
      throw new RangeError("a part of a stack is a loop's or one layer's")
    return [{ node: piece.inputs[0]!, from }]
  })
}
