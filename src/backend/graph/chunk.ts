import { pieceDim, type Chunk, type Whole } from '../../compile/index.ts'
import type { Node, NodeOf } from '../../tensor/index.ts'
import type { Body, Ref } from './body.ts'
import { readAll } from './held.ts'
import { allOf, called, whileLoop } from './library.ts'
import { anyShape, scopeIn, sizeIn, type Scope, type Sink, type Write } from './scope.ts'
import { shapeOf, sizeRef } from './sizes.ts'

/**
 * Writes a computation over rows in pieces, as a While whose body only calls a function. Sums over the pieces are in
 * f32.
 */
export const writtenChunk = (
  write: Write,
  scope: Scope,
  n: NodeOf<Chunk>,
  inputs: readonly Ref[],
  sinks: ReadonlyMap<number, Sink>,
): readonly Ref[] => {
  const { body, sizes, writing, precision, readers } = scope
  const { block, dim, rows, inputs: axes, outputs } = n.attributes
  const { library } = writing
  const total = sizeRef(body, sizeIn(scope)(dim))
  const count = inputs.length
  const own = count + sizes.length
  const piece = library.define({
    name: block.name,
    parameters: ['i32', 'i32', ...inputs.map(({ type }) => type), ...sizes.map(({ type }) => type)],
    write: (into, [from, all, ...refs]) => {
      const length = into.apply('Minimum', [into.constant(rows, 'i32'), into.apply('Sub', [all!, from!])])
      const inner = scopeIn(
        into,
        [...refs.slice(count), length],
        { ...writing, dynamic: [...writing.dynamic, pieceDim] },
        precision,
      )
      const given = block.parameters.map((p, i): readonly [Node, Ref] => {
        const axis = axes[i]
        const along = (at: Ref, elsewhere: number): Ref =>
          into.apply(
            'Pack',
            p.shape.map((_, k) => (k === axis ? at : into.constant(elsewhere, 'i32'))),
          )
        return [p, axis === undefined ? refs[i]! : into.apply('Slice', [refs[i]!, along(from!, 0), along(length, -1)])]
      })
      const made = write(inner, block.outputs, new Map(given))
      const before = sinks.size > 0 ? [allOf(into, inner.readers)] : []
      for (const [k, { resource }] of sinks) {
        const places = into.apply('Range', [from!, into.apply('AddV2', [from!, length]), into.constant(1, 'i32')])
        into.add(
          'InplaceUpdate',
          [readAll(into, resource), places, into.cast(made[k]!, resource.type)],
          {},
          { control: before },
        )
      }
      // an output that is written in place is not collected
      return made.map((x, k) =>
        sinks.has(k)
          ? into.constant(0, 'f32')
          : outputs[k]!.kind === 'sum'
            ? into.cast(x, 'f32')
            : swapped(into, x, block.outputs[k]!.shape.length, outputs[k]!),
      )
    },
  })
  const isRows = (k: number): boolean => outputs[k]!.kind === 'rows' && !sinks.has(k)
  const starts = outputs.map((_, k) =>
    sinks.has(k)
      ? body.constant(0, 'f32')
      : isRows(k)
        ? body.apply('EmptyTensorList', [anyShape(body), body.constant(-1, 'i32')], {
            element_dtype: { type: piece.results[k]! },
          })
        : body.apply('Fill', [
            shapeOf(block.outputs[k]!.shape, { body, size: sizeIn(scope) }),
            body.constant(0, 'f32'),
          ]),
  )
  const state = [body.constant(0, 'i32'), total, ...inputs, ...sizes, ...starts]
  const types = state.map(({ type }) => type)
  const condition = library.define({
    name: 'rowsLeft',
    parameters: types,
    write: (into, [from, all]) => [into.apply('Less', [from!, all!])],
  })
  const turn = library.define({
    name: `${block.name}.turn`,
    parameters: types,
    write: (into, [from, all, ...rest]) => {
      const made = called(into, piece, [from!, all!, ...rest.slice(0, own)]).outputs
      const next = outputs.map((_, k) =>
        into.apply(isRows(k) ? 'TensorListPushBack' : 'AddV2', [rest[own + k]!, made[k]!]),
      )
      return [into.apply('AddV2', [from!, into.constant(rows, 'i32')]), all!, ...rest.slice(0, own), ...next]
    },
  })
  const made = whileLoop(body, condition, turn, state, sinks.size > 0 ? { control: [...readers] } : {})
  readers.push(made)
  return outputs.map((output, k) => {
    const result = made.outputs[2 + own + k]!
    if (sinks.has(k)) return result
    if (output.kind === 'sum') return body.cast(result, precision.stored(block.outputs[k]!))
    const list = [result, anyShape(body), body.constant([], 'i64')]
    const whole = body.apply('TensorListConcatV2', list, { element_dtype: { type: piece.results[k]! } })
    return swapped(body, whole, block.outputs[k]!.shape.length, output)
  })
}

/** Swaps the axis of the rows with the first. */
const swapped = (body: Body, x: Ref, rank: number, output: Whole): Ref => {
  if (output.kind === 'sum' || output.axis === 0) return x
  return body.apply('Transpose', [
    x,
    body.constant(
      Array.from({ length: rank }, (_, i) => (i === output.axis ? 0 : i === 0 ? output.axis : i)),
      'i32',
    ),
  ])
}
