import { chunkOp, loopOp, type Programs, type WholePrograms } from '../../compile/index.ts'
import { broadcastToOp, concatOp, is, reshapeOp, resultOp, sliceOp, type Node, type NodeOf } from '../../tensor/index.ts'
import type { Anchor, Body, Ref } from './body.ts'
import { emptyEntry, type Define, type Entry, type Refs } from './entry.ts'
import { assignAll, layerOf, readAll, writeLayer, type Resource } from './held.ts'
import { branch, called, emptyLibrary, type Library } from './library.ts'
import { replacing, write } from './program.ts'
import type { Replacement } from './replace.ts'
import { asList, materialised, scopeIn, type Precision, type Scope, type Sink, type Writing } from './scope.ts'
import type { Input } from './packed.ts'
import { trainedRows, type Held, type Holdings } from './resources.ts'
import type { GraphType } from './types.ts'

/** What a graph is made from. */
export interface Source {
  readonly programs: Programs
  readonly whole: WholePrograms
  readonly holdings: Holdings
  readonly writing: Omit<Writing, 'library' | 'resourceOf'>
  /** How values of the forward and backward pass are stored. */
  readonly precision: Precision
}

/** In what is done once an update, everything is in f32. */
const single: Precision = { compute: 'f32', stored: n => n.dtype }

const f32 = 'f32', i32 = 'i32'
const at: Input = { type: i32, rank: 0 }, number: Input = { type: f32, rank: 0 }
const inputOf = ({ dtype, shape }: Node): Input => ({ type: dtype === 'i32' ? i32 : f32, rank: shape.length })
/** The name of an input: a leaf of a batch. */
export const batchInput = (path: string): string => `batch/${path}`

/** The whole of a session as one graph: what is held, and everything that can be asked of it. */
export const graphOf = (source: Source): Entry => {
  const { programs, whole, holdings, precision } = source, library = emptyLibrary()
  const writing: Writing = { ...source.writing, library, resourceOf: holdings.of }, entry = emptyEntry(library, writing), { define } = entry

  const kinds = [holdings.params, holdings.indices, holdings.parts, holdings.state]
  for (const held of kinds.flat()) defineAccess(define, held, programs, holdings)
  for (const held of holdings.gradients) defineRead(define, held)
  for (const held of holdings.parts) defineCommit(define, held, programs, holdings)

  define('start', {}, single, scope => {
    let before: Anchor | undefined
    for (const [variable, node] of whole.initial()) {
      const make = library.define({
        name: 'initial', parameters: scope.sizes.map(({ type }) => type),
        write: (into, sizes) => {
          // variables are written where they lie, so each has memory of its own
          const [value] = write(scopeIn(into, sizes, writing, single), [node], new Map())
          assignAll(into, holdings.of(variable.node)!, is(node, broadcastToOp) ? value! : into.apply('DeepCopy', [value!]))
          return [into.constant(0, i32)]
        },
      })
      // one after the other, so that only one is in memory twice
      before = called(scope.body, make, scope.sizes, before ? { control: [before] } : {})
    }
    return {}
  })

  const batch = Object.fromEntries(programs.batch.map(([path, leaf]) => [batchInput(path), inputOf(leaf)] as const))
  const fed = (given: Refs): ReadonlyMap<Node, Ref> => new Map(programs.batch.map(([path, leaf]) => [leaf, given[batchInput(path)]!]))
  const asF32 = (body: Body, x: Ref): Ref => body.cast(x, f32)

  const gradients = whole.gradients(), apply = whole.apply(), update = updateFunction(source, library, writing, apply)
  const gradientNodes = gradients.gradients.map(([, node]) => node)
  /** Loss, count, and the gradient of every variable, stacks as lists. */
  const backward = (scope: Scope, given: Refs): readonly Ref[] => {
    const [sum, count, ...rest] = write(scope, [gradients.sum, gradients.count, ...gradientNodes], fed(given))
    return [asF32(scope.body, sum!), asF32(scope.body, count!), ...gradients.gradients.map(([variable, node], i) => (variable.family ? asList(scope, rest[i]!, node) : rest[i]!))]
  }
  /** The norm, and the update where all is finite. */
  const applied = (scope: Scope, sum: Ref, count: Ref, lists: readonly Ref[]): Ref => {
    const { body } = scope, given = new Map<Node, Ref>([[programs.count, count], ...gradients.gradients.map(([variable], i): readonly [Node, Ref] => [variable.node, lists[i]!])])
    const inner: Scope = { ...scope, precision: single }, [norm] = write(inner, [apply.norm], given)
    const finite = [sum, norm!].map(x => body.apply('IsFinite', [x])), scored = body.apply('Less', [body.constant(0, f32), count])
    const inputs = [count, norm!, ...lists, ...scope.sizes], f = update(inputs.map(({ type }) => type), gradients.gradients.map((_, i) => scope.stacks.get(lists[i]!.text)?.element))
    const nothing = library.define({ name: 'nothing', parameters: inputs.map(({ type }) => type), write: into => [into.constant(0, i32)] })
    branch(body, body.apply('LogicalAnd', [body.apply('LogicalAnd', [finite[0]!, finite[1]!]), scored]), f, nothing, inputs)
    return norm!
  }
  define('step', batch, precision, (scope, given) => {
    const [sum, count, ...lists] = backward(scope, given)
    return { sum: sum!, count: count!, norm: applied(scope, sum!, count!, lists) }
  })

  const accumulating = (scope: Scope, given: Refs, add: (resource: Resource, x: Ref) => void): Refs => {
    const { body } = scope, [sum, count, ...lists] = backward(scope, given)
    gradients.gradients.forEach(([variable], i) => {
      add(holdings.of(variable.node)!, asF32(body, materialised(scope, lists[i]!)))
    })
    return { sum: sum!, count: count! }
  }
  define('accumulate/first', batch, precision, (scope, given) => accumulating(scope, given, (resource, x) => { assignAll(scope.body, resource, x) }))
  define('accumulate/more', batch, precision, (scope, given) => accumulating(scope, given, (resource, x) => {
    assignAll(scope.body, resource, scope.body.apply('AddV2', [readAll(scope.body, resource), x]))
  }))
  define('apply', { sum: number, count: number }, single, (scope, { sum, count }) => {
    const lists = gradients.gradients.map(([variable]) => {
      const resource = holdings.of(variable.node)!, read = readAll(scope.body, resource)
      return variable.family ? asList(scope, read, variable.leaves[0]!) : read
    })
    return { norm: applied(scope, sum!, count!, lists) }
  })
  define('forget', {}, single, ({ body }) => {
    for (const held of holdings.gradients) assignAll(body, held, body.apply('Fill', [body.constant([0], i32), body.constant(0, f32)]))
    return {}
  })

  define('evaluate', batch, precision, (scope, given) => {
    const { sum, count } = whole.evaluate(), [s, c] = write(scope, [sum, count], fed(given))
    return { sum: asF32(scope.body, s!), count: asF32(scope.body, c!) }
  })
  define('logits', batch, precision, (scope, given) => ({ logits: asF32(scope.body, write(scope, [whole.logits()], fed(given))[0]!) }))
  if (whole.decode) {
    const { logits, caches, tokens, position } = whole.decode(), inputs = Object.fromEntries(caches.map(([{ name, node }]) => [name, inputOf(node)] as const))
    define('decode', { tokens: inputOf(tokens), position: inputOf(position), ...inputs }, precision, (scope, given) => {
      const cacheRefs = caches.map(([variable]): readonly [Node, Ref] => [variable.node, given[variable.name]!])
      const [scores, ...next] = write(scope, [logits, ...caches.map(([, node]) => node)], new Map([[tokens, given['tokens']!], [position, given['position']!], ...cacheRefs]))
      return { logits: asF32(scope.body, scores!), ...Object.fromEntries(caches.map(([{ name }], i) => [name, asF32(scope.body, materialised(scope, next[i]!))])) }
    })
  }
  return entry
}

/** One layer of a resource, or all of it. */
const defineRead = (define: Define, held: Held): void => {
  define(`read/${held.name}`, { layer: at }, single, ({ body }, { layer }) => {
    const all = readAll(body, held), value = held.layers === undefined ? all : layerOf(body, all, layer!)
    return { value: held.type === 'bf16' || held.type === 'f16' ? body.cast(value, f32) : value }
  })
}

/**
 * How a resource is given its value, layer by layer: the first one makes room for all. Where rows of a leaf are trained, they
 * are taken from the value as it is given, before it is stored in fewer bits.
 */
const defineAccess = (define: Define, held: Held, programs: Programs, holdings: Holdings): void => {
  const { variable: { leaves: [leaf] }, layers } = held, rows = trainedRows(programs, held)
  const put = ({ body }: Scope, resource: Resource, value: Ref, first: boolean, layer: Ref): void => {
    if (layers === undefined) { assignAll(body, resource, value); return }
    if (!first) { writeLayer(body, resource, layer, value, []); return }
    const kept = body.cast(value, resource.type), shape = body.apply('ConcatV2', [body.constant([layers], i32), body.apply('Shape', [kept]), body.constant(0, i32)])
    assignAll(body, resource, body.apply('BroadcastTo', [kept, shape]))
  }
  for (const first of layers === undefined ? [true] : [true, false]) {
    define(`${first ? 'first' : 'next'}/${held.name}`, { value: inputOf(leaf!), layer: at, ...(rows ? { index: inputOf(rows.lens.index[0]!) } : {}) }, single, (scope, refs) => {
      put(scope, held, refs['value']!, first, refs['layer']!)
      if (rows) {
        const part = holdings.placeOf(rows.part).held
        put(scope, part, write(scope, [rows.lens.get(leaf!)], new Map([[leaf!, refs['value']!], [rows.lens.index[0]!, refs['index']!]]))[0]!, first, refs['layer']!)
      }
      return {}
    })
  }
  defineRead(define, held)
}

/** Rows that are written from outside: into where they are held, and into their leaf. */
const defineCommit = (define: Define, held: Held, { trained }: Programs, holdings: Holdings): void => {
  const { leaf, lens, part } = trained.find(t => t.part === held.variable.leaves[0])!, home = holdings.placeOf(leaf).held, index = lens.index[0]!, indices = holdings.placeOf(index).held
  define(`commit/${held.name}`, { value: inputOf(part), layer: at }, single, (scope, { value, layer }) => {
    const { body } = scope, all = readAll(body, indices), here = held.layers === undefined ? undefined : layer!
    const given = new Map([[part, value!], [index, here ? layerOf(body, all, here) : all]])
    const replacements: readonly Replacement[] = [{ resource: home, leaf, output: lens.put(leaf, part), layer: here }, { resource: held, leaf: part, output: part, layer: here }]
    replacing(scope, [], replacements, given)
    return {}
  })
}

/** The update as a function of the count, the norm and the gradients; it returns nothing that matters. */
const updateFunction = ({ programs, holdings }: Source, library: Library, writing: Writing, { norm, replaced }: ReturnType<WholePrograms['apply']>) =>
  (parameters: readonly GraphType[], elements: readonly (GraphType | undefined)[]) => library.define({
    name: 'update', parameters,
    write: (into, [count, normRef, ...rest]) => {
      const lists = rest.slice(0, elements.length), scope = scopeIn(into, rest.slice(elements.length), writing, single)
      const given = new Map<Node, Ref>([[programs.count, count!], [norm, normRef!]])
      holdings.gradients.forEach(({ variable }, i) => {
        const element = elements[i]
        if (element) scope.stacks.set(lists[i]!.text, { list: lists[i]!, element })
        given.set(variable.node, lists[i]!)
      })
      const parts = replaced.flatMap(([variable, node]) => partsOf(node, variable.node).map(part => ({ ...part, variable, resource: holdings.of(variable.node)! })))
      // what a loop makes for a stack is written by the loop itself, layer by layer
      const sinks = new Map<Node, Map<number, Sink>>(), made: Node[] = []
      for (const { node, from, resource } of parts) {
        if (!isLooped(node)) continue
        const [call] = node.inputs as [Node], own = sinks.get(call) ?? new Map<number, Sink>()
        if (own.size === 0) made.push(node)
        sinks.set(call, own.set(node.attributes.index, { resource, from }))
      }
      const others = parts.filter(({ node }) => !isLooped(node)).map(({ node, from, resource, variable }): Replacement =>
        ({ resource, leaf: variable.node, output: node, layer: alike(node, variable.node) ? undefined : into.constant(from, i32) }))
      replacing(scope, made, others, given, sinks)
      return [into.constant(0, i32)]
    },
  })

const alike = (a: Node, b: Node): boolean => a.shape.join() === b.shape.join()
/** True for what is made a layer or a piece at a time, each of which can be written to its place. */
const isLooped = (n: Node): n is NodeOf<{ readonly index: number }> => {
  const [made] = n.inputs
  if (!is(n, resultOp) || made === undefined) return false
  if (!is(made, chunkOp)) return is(made, loopOp)
  const whole = made.attributes.outputs[n.attributes.index]
  return whole?.kind === 'rows' && whole.axis === 0
}

/** What replaces the layers of a stack, from which layer on: layers of one loop together, others alone; what stays as it is, is left out. */
const partsOf = (node: Node, stack: Node): readonly { readonly node: Node; readonly from: number }[] => {
  if (!is(node, concatOp) || node.attributes.axis !== 0 || !alike(node, stack)) return [{ node, from: 0 }]
  let next = 0
  return node.inputs.flatMap(piece => {
    const from = next
    next += Number(piece.shape[0])
    const whole = is(piece, sliceOp) ? piece.inputs[0] : piece
    if (whole === stack) return []
    if (isLooped(piece)) return [{ node: piece, from }]
    if (!is(piece, reshapeOp) || piece.shape[0] !== 1) throw new RangeError('a part of a stack is a loop\'s or one layer\'s')
    return [{ node: piece.inputs[0]!, from }]
  })
}
