import type { Shape, Value } from '../../tensor/index.ts'
import type { PeftTensor, Word } from '../../tune/index.ts'
import { elementCount, showSizes, valueOf } from '../checkpoint/archive.ts'
import { fromStorage, leafSizes, toStorage, type Layout } from '../../model/index.ts'
import { refusal } from '../../text/index.ts'

/** Converts tensors from and to PEFT, which keeps matrices [out, in] and convolutions as PyTorch does. */

type Floats = Value<Shape>

/** The prefix that PEFT puts before the path of a module, since its own model wraps the base. */
export const peftPrefix = 'base_model.model.'
/** The prefix that PEFT puts before the name of a tensor that all modules share. */
export const peftShared = 'base_model.'

/**
 * The order in which PEFT stores a factor, which is the weight of a layer of its own there; undefined for other tensors.
 * The layers beside a convolution are convolutions, and the second one has a window of one place.
 */
const orderOf = (module: Layout, ours: readonly Word[], theirs: readonly Word[]): Layout | undefined => {
  const [input, output] = ours.slice(-2)
  if (theirs.length !== 2 || ours.length < 2 || theirs[0] !== output || theirs[1] !== input) return undefined
  if (!isConvolved(module)) return 'linear'
  return ours.length === 2 ? 'pointwise' : 'convolution'
}

/** Tests for a module that is a convolution in PyTorch. */
export const isConvolved = (module: Layout): boolean => module !== 'linear' && module !== 'same'

/** A tensor with the layout of words `from`, in the layout of words `to`. */
const laidOut = (value: Floats, from: readonly Word[], to: readonly Word[]): Floats => {
  if (from.join() === to.join()) return value
  const sizes = to.map(word => (typeof word === 'number' ? word : value.sizes[from.indexOf(word)]!))
  return valueOf('f32', sizes, value.data)
}

/** A tensor of a module in PEFT's layout. */
export const toPeft = (value: Floats, ours: readonly Word[], [, ...theirs]: PeftTensor, module: Layout): Floats => {
  const order = orderOf(module, ours, theirs)
  if (order === undefined) return laidOut(value, ours, theirs)
  const { sizes, data } = toStorage(order, value)
  return valueOf('f32', sizes, data)
}

/** Tests whether a tensor of these sizes may be the one with this name in PEFT. */
export const fitsPeft = ([, ...words]: PeftTensor, sizes: readonly number[]): boolean =>
  words.length === sizes.length && words.every((word, i) => typeof word === 'string' || word === sizes[i])

/** A tensor of a module in the layout of adapters. Throws an `IoError` for one that does not have PEFT's layout. */
export const fromPeft = (
  subject: string,
  key: string,
  value: Value<Shape> | Value<Shape, 'i32'>,
  ours: readonly Word[],
  theirs: PeftTensor,
  module: Layout,
): Value<Shape> | Value<Shape, 'i32'> => {
  const [, ...words] = theirs
  if (words.join() === ours.join()) return value
  const order = orderOf(module, ours, words)
  const fits = order === undefined ? fitsPeft(theirs, value.sizes) : leafSizes(order, value.sizes) !== undefined
  if (value.dtype !== 'f32' || !fits || elementCount(value.sizes) === undefined) {
    const due = order === undefined || order === 'linear' ? 'a matrix of numbers' : 'the weight of a convolution'
    throw refusal(
      `${subject}: tensor ${key} is ${value.dtype.toUpperCase()} ${showSizes(value.sizes)}: expected ${due}`,
    )
  }
  if (order === undefined) return laidOut(value, words, ours)
  const { sizes, data } = fromStorage(order, value)
  return valueOf('f32', sizes, data)
}
