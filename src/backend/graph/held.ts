import type { Body, Ref } from './body.ts'
import type { GraphType } from './types.ts'

/** A resource variable: a leaf, or a stack with the leaves of all layers. */
export interface Resource {
  readonly name: string
  readonly type: GraphType
  /** The number of layers in the stack; undefined for a single leaf. */
  readonly layers: number | undefined
}

/** A handle on a variable. */
export const handleOf = (body: Body, { name, type }: Resource): Ref =>
  body.apply('VarHandleOp', [], {
    dtype: { type },
    shape: { shape: undefined },
    shared_name: { text: name },
    container: { text: '' },
  })

/** The value of a variable, without a copy. */
export const readAll = (body: Body, resource: Resource): Ref =>
  body.apply('ReadVariableOp', [handleOf(body, resource)], { dtype: { type: resource.type } })

const scalars = (body: Body, refs: readonly Ref[]): Ref => body.apply('Pack', refs)

/** Layer `at` of a stack `[layers, …]`; it shares the stack's memory if it is aligned. */
export const layerOf = (body: Body, stack: Ref, at: Ref): Ref => {
  const next = body.apply('AddV2', [at, body.constant(1, 'i32')])
  return body.apply('StridedSlice', [stack, scalars(body, [at]), scalars(body, [next]), body.constant([1], 'i32')], {
    shrink_axis_mask: { int: 1 },
  })
}

/** The sizes of a tensor except the first. */
export const restOfShape = (body: Body, x: Ref): Ref =>
  body.apply('StridedSlice', [body.apply('Shape', [x]), ...[1, 0, 1].map(at => body.constant([at], 'i32'))], {
    end_mask: { int: 1 },
  })

/**
 * Writes rows into a variable in place. The variable is viewed as a matrix of rows `[…, row sizes of values]`. The
 * caller specifies which nodes must run before: every reader of the old rows.
 */
export const writeRows = (
  body: Body,
  resource: Resource,
  rows: Ref,
  values: Ref,
  control: readonly { readonly node: string }[],
): void => {
  const inner = restOfShape(body, values)
  const view = body.apply('Reshape', [
    readAll(body, resource),
    body.apply('ConcatV2', [body.constant([-1], 'i32'), inner, body.constant(0, 'i32')]),
  ])
  body.add('InplaceUpdate', [view, rows, body.cast(values, resource.type)], {}, { control })
}

/** Replaces one layer of a stack in place. */
export const writeLayer = (
  body: Body,
  resource: Resource,
  at: Ref,
  value: Ref,
  control: readonly { readonly node: string }[],
): void => {
  const zero = body.constant(0, 'i32')
  const [place, layer] = [at, body.cast(value, resource.type)].map(x => body.apply('ExpandDims', [x, zero]))
  body.add('InplaceUpdate', [readAll(body, resource), place!, layer!], {}, { control })
}

export const assignAll = (
  body: Body,
  resource: Resource,
  value: Ref,
  control: readonly { readonly node: string }[] = [],
): void => {
  body.add('AssignVariableOp', [handleOf(body, resource), body.cast(value, resource.type)], {}, { control })
}
