import * as E from '../../either/index.ts'
import type { Signature } from '../node.ts'
import type { DType } from '../value.ts'

/**
 * Refuses operands whose dtypes an op does not accept, or that differ: nothing is converted silently.
 * @param conditions the number of leading operands that are truth values
 * @example typesFault('add', [x, y], ['f32', 'i32']) // Left('add: i32 and f32 differ: cast one')
 */
export const typesFault = (
  op: string,
  operands: readonly Signature[],
  takes: readonly DType[],
  conditions = 0,
): E.Either<string, unknown> => {
  const condition = operands.slice(0, conditions).find(({ dtype }) => dtype !== 'bool')
  const [first, ...others] = operands.slice(conditions)
  if (condition) return E.left(`${op}: the condition is ${condition.dtype}, not bool`)
  const wrong = [first!, ...others].find(({ dtype }) => !takes.includes(dtype))
  const other = others.find(({ dtype }) => dtype !== first!.dtype)
  return other
    ? E.left(`${op}: ${first!.dtype} and ${other.dtype} differ: cast one`)
    : wrong
      ? E.left(`${op}: takes ${takes.join(' or ')}, not ${wrong.dtype}: cast it`)
      : E.right(undefined)
}

/** The same for an index, whose dtype is i32. */
export const indexFault = (op: string, index: Signature): E.Either<string, unknown> =>
  index.dtype === 'i32' ? E.right(undefined) : E.left(`${op}: the index is ${index.dtype}, not i32`)
