import type { Programs, Trained, Variable, Variables } from '../../compile/index.ts'
import type { Node } from '../../tensor/index.ts'
import type { Resource } from './held.ts'
import type { FloatType, GraphType } from './types.ts'

/** A variable of the compiler with the resource that holds it. */
export interface Held extends Resource {
  readonly variable: Variable
}

/** Everything that a graph holds between its runs. */
export interface Holdings {
  readonly params: readonly Held[]
  readonly indices: readonly Held[]
  readonly parts: readonly Held[]
  readonly state: readonly Held[]
  /** Sums of gradients over micro-batches; empty except between the micro-batches of one step. */
  readonly gradients: readonly Held[]
  readonly of: (placeholder: Node) => Held | undefined
  /** The place of a leaf: the resource, and its layer in it. */
  readonly placeOf: (leaf: Node) => { readonly held: Held; readonly layer: number }
}

/**
 * Chooses the types: frozen matrices, and those with only some trained rows, are held in the type of the computation;
 * vectors (such as the scales of packed matrices), trained leaves, the optimizer's state and sums of gradients in f32.
 */
export const holdingsOf = (
  variables: Variables,
  { trained }: Pick<Programs, 'trained'>,
  compute: FloatType,
): Holdings => {
  const whole = new Set(trained.filter(({ lens }) => lens.index.length === 0).map(({ leaf }) => leaf))
  const held = (of: readonly Variable[], typeOf: (leaf: Node) => GraphType): readonly Held[] =>
    of.map(variable => {
      const [first] = variable.leaves as readonly [Node]
      return {
        name: variable.name,
        type: typeOf(first),
        layers: variable.family ? variable.leaves.length : undefined,
        variable,
      }
    })
  const own = (leaf: Node): GraphType => leaf.dtype
  const params = held(variables.params, leaf =>
    leaf.dtype === 'f32' && leaf.shape.length > 1 && !whole.has(leaf) ? compute : leaf.dtype,
  )
  const groups = {
    params,
    indices: held(variables.indices, own),
    parts: held(variables.parts, own),
    state: held(variables.state, own),
    gradients: held(variables.gradients, own),
  }
  const all = Object.values(groups).flat()
  const byNode = new Map(all.map(h => [h.variable.node, h]))
  const places = new Map(all.flatMap(h => h.variable.leaves.map((leaf, layer) => [leaf, { held: h, layer }] as const)))
  return {
    ...groups,
    of: placeholder => byNode.get(placeholder),
    placeOf: leaf => {
      const place = places.get(leaf)
      if (place === undefined) throw new RangeError('the leaf is held nowhere')
      return place
    },
  }
}

/** The trained part of a variable's leaves, if it consists of rows that are held separately. */
export const trainedRows = ({ trained }: Pick<Programs, 'trained'>, { variable }: Held): Trained | undefined =>
  trained.find(({ leaf, lens }) => leaf === variable.leaves[0] && lens.index.length > 0)
