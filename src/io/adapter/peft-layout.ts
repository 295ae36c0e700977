import { transposeMatrix, type Shape, type Value } from '../../tensor/index.ts'
import type { PeftTensor, Word } from '../../tune/index.ts'
import { elementCount, showSizes, valueOf } from '../checkpoint/archive.ts'
import { refusal } from '../../text/index.ts'

/** Converts tensors from and to PEFT, which keeps matrices [out, in] as PyTorch does. */

type Floats = Value<Shape>

/** The prefix that PEFT puts before the path of a module, since its own model wraps the base. */
export const peftPrefix = 'base_model.model.'
/** The prefix that PEFT puts before the name of a tensor that all modules share. */
export const peftShared = 'base_model.'

const turned = ({ sizes, data }: Floats): Floats => {
  const [rows = 0, columns = 0] = sizes
  return valueOf('f32', [columns, rows], transposeMatrix(data, rows, columns))
}

const isTurned = (a: readonly Word[], b: readonly Word[]): boolean =>
  a.length === 2 && b.length === 2 && a[0] === b[1] && a[1] === b[0]

/** A tensor with the layout of words `from`, in the layout of words `to`. */
const laidOut = (value: Floats, from: readonly Word[], to: readonly Word[]): Floats => {
  if (isTurned(from, to)) return turned(value)
  if (from.join() === to.join()) return value
  const sizes = to.map(word => (typeof word === 'number' ? word : value.sizes[from.indexOf(word)]!))
  return valueOf('f32', sizes, value.data)
}

/** A tensor in PEFT's layout. */
export const toPeft = (value: Floats, ours: readonly Word[], [, ...theirs]: PeftTensor): Floats =>
  laidOut(value, ours, theirs)

/** Tests whether a tensor of these sizes may be the one with this name in PEFT. */
export const fitsPeft = ([, ...words]: PeftTensor, sizes: readonly number[]): boolean =>
  words.length === sizes.length && words.every((word, i) => typeof word === 'string' || word === sizes[i])

/** A tensor in the layout of adapters. Throws an `IoError` for one that does not have PEFT's layout. */
export const fromPeft = (
  subject: string,
  key: string,
  value: Value<Shape> | Value<Shape, 'i32'>,
  ours: readonly Word[],
  theirs: PeftTensor,
): Value<Shape> | Value<Shape, 'i32'> => {
  const [, ...words] = theirs
  if (words.join() === ours.join()) return value
  if (value.dtype !== 'f32' || !fitsPeft(theirs, value.sizes) || elementCount(value.sizes) === undefined) {
    throw refusal(
      `${subject}: tensor ${key} is ${value.dtype.toUpperCase()} ${showSizes(value.sizes)}: expected a matrix of numbers`,
    )
  }
  return laidOut(value, words, ours)
}
