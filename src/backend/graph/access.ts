import type { Programs } from '../../compile/index.ts'
import { broadcastToOp, concatOp, constantOp, is, reshapeOp, type Node } from '../../tensor/index.ts'
import type { Anchor, Ref } from './body.ts'
import type { Define } from './entry.ts'
import { assignAll, layerOf, readAll, writeLayer, type Resource } from './held.ts'
import { called } from './library.ts'
import { replacing, write } from './program.ts'
import type { Replacement } from './replace.ts'
import { trainedRows, type Held, type Holdings } from './resources.ts'
import { scopeIn, sizeIn, type Scope } from './scope.ts'
import { shapeOf } from './sizes.ts'
import { asF32, inputOf, integerInput, single, type Defining, type Source } from './source.ts'

/** Defines the question for one layer of a resource, or all of it. */
export const defineRead = (define: Define, held: Held): void => {
  define(`read/${held.name}`, { layer: integerInput }, single, ({ body }, { layer }) => {
    const all = readAll(body, held)
    const value = held.layers === undefined ? all : layerOf(body, all, layer!)
    return { value: held.type === 'bf16' || held.type === 'f16' ? asF32(body, value) : value }
  })
}

/**
 * Defines the questions that assign a resource its value, layer by layer; the first one allocates memory for all
 * layers. If only rows of a leaf are trained, they are taken from the given value, before it is stored in fewer bits,
 * and are kept together with their index.
 */
export const defineAccess = (define: Define, held: Held, programs: Programs, holdings: Holdings): void => {
  const {
    variable: {
      leaves: [leaf],
    },
    layers,
  } = held
  const rows = trainedRows(programs, held)
  const put = ({ body }: Scope, resource: Resource, value: Ref, first: boolean, layer: Ref): void => {
    if (layers === undefined) {
      assignAll(body, resource, value)
      return
    }
    if (!first) {
      writeLayer(body, resource, layer, value, [])
      return
    }
    const kept = body.cast(value, resource.type)
    const shape = body.apply('ConcatV2', [
      body.constant([layers], 'i32'),
      body.apply('Shape', [kept]),
      body.constant(0, 'i32'),
    ])
    assignAll(body, resource, body.apply('BroadcastTo', [kept, shape]))
  }
  for (const first of layers === undefined ? [true] : [true, false]) {
    const inputs = {
      value: inputOf(leaf!),
      layer: integerInput,
      ...(rows ? { index: inputOf(rows.lens.index[0]!) } : {}),
    }
    define(`${first ? 'first' : 'next'}/${held.name}`, inputs, single, (scope, { value, layer, index }) => {
      put(scope, held, value!, first, layer!)
      if (rows) {
        const chosen = rows.lens.index[0]!
        const [part] = write(
          scope,
          [rows.lens.get(leaf!)],
          new Map([
            [leaf!, value!],
            [chosen, index!],
          ]),
        )
        put(scope, holdings.placeOf(rows.part).held, part!, first, layer!)
        // an index that several leaves share is kept with the first of them
        if (programs.trained.find(({ lens }) => lens.index[0] === chosen)?.leaf === leaf)
          put(scope, holdings.placeOf(chosen).held, index!, first, layer!)
      }
      return {}
    })
  }
  defineRead(define, held)
}

/** Defines the question that writes rows from outside: to the variable that holds them, and into their leaf. */
export const defineCommit = (define: Define, held: Held, { trained }: Programs, holdings: Holdings): void => {
  const { leaf, lens, part } = trained.find(t => t.part === held.variable.leaves[0])!
  const index = lens.index[0]!
  const home = holdings.placeOf(leaf).held
  const indices = holdings.placeOf(index).held
  define(`commit/${held.name}`, { value: inputOf(part), layer: integerInput }, single, (scope, { value, layer }) => {
    const { body } = scope
    const all = readAll(body, indices)
    const here = held.layers === undefined ? undefined : layer!
    const given = new Map([
      [part, value!],
      [index, here ? layerOf(body, all, here) : all],
    ])
    const replacements: readonly Replacement[] = [
      { resource: home, leaf, output: lens.put(leaf, part), layer: here },
      { resource: held, leaf: part, output: part, layer: here },
    ]
    replacing(scope, [], replacements, given)
    return {}
  })
}

/** The number that all elements of a value equal, if the program shows it, such as the zeros of a first state. */
const fillOf = (n: Node): number | undefined => {
  if (is(n, constantOp)) return typeof n.attributes.value === 'number' ? n.attributes.value : undefined
  if (!is(n, broadcastToOp) && !is(n, reshapeOp) && !is(n, concatOp)) return undefined
  const [first, ...others] = n.inputs.map(fillOf)
  return others.every(other => other === first) ? first : undefined
}

/** Defines the question that initializes the optimizer's state. */
export const defineStart = ({ define, library, writing }: Defining, { whole, holdings }: Source): void => {
  define('start', {}, single, scope => {
    let before: Anchor | undefined
    for (const [variable, node] of whole.initial()) {
      const fill = fillOf(node)
      const held = holdings.of(variable.node)!
      // the number is an argument: TensorFlow would fold constants into the whole value in advance, and keep the value
      // and its text for good
      const given = fill === undefined ? [] : [scope.body.cast(scope.body.constant(fill, 'f32'), held.type)]
      const inputs = [...given, ...scope.sizes]
      const make = library.define({
        name: 'initial',
        parameters: inputs.map(({ type }) => type),
        write: (into, refs) => {
          const inner = scopeIn(into, refs.slice(given.length), writing, single)
          // variables are written in place, so each needs memory of its own
          assignAll(
            into,
            held,
            fill === undefined
              ? into.apply('DeepCopy', [write(inner, [node], new Map())[0]!])
              : into.apply('Fill', [shapeOf(node.shape, { body: into, size: sizeIn(inner) }), refs[0]!]),
          )
          return [into.constant(0, 'i32')]
        },
      })
      // one after the other, so that only one is in memory twice
      before = called(scope.body, make, inputs, before ? { control: [before] } : {})
    }
    return {}
  })
}
