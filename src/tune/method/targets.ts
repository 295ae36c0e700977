import type { IsLiteral, Node } from '../../tensor/index.ts'
import type { Dynamic, Frozen } from '../mask.ts'
import { declaredLeaves } from '../tree.ts'

/**
 * Finds the leaves that targets match, as a value and as a type: a target is a path, or words that a path ends with.
 */

/** Thrown if targets name nothing that exists, or nothing that the method can adapt; the message names it. */
export class UnknownTarget extends Error {
  override readonly name = 'UnknownTarget'
}

/** The name of a leaf: the last word of its path. */
export const leafName = (path: string): string => path.slice(path.lastIndexOf('.') + 1)

/**
 * The module of a leaf: the record that holds a `weight`, and otherwise the leaf itself. So a layer `{ weight, bias }` is
 * one module, whose matrix is the weight, and a bias is called after its module: `up.bias`.
 * @example moduleOf('layers.0.up.weight') // 'layers.0.up'
 */
export const moduleOf = (path: string): string => path.replace(/\.weight$/, '')

const endsWith = (path: string, words: string): boolean => path === words || path.endsWith(`.${words}`)

/**
 * Tests whether a target matches a leaf: its path or that of its module, or words that one of them ends with, as in
 * PEFT.
 * @example isTarget('layers.0.q_proj', 'q_proj')
 */
export const isTarget = (path: string, target: string): boolean =>
  endsWith(path, target) || endsWith(moduleOf(path), target)

/**
 * Tests whether a target matches a leaf, its module, or a record around it.
 * @example isInside('head.up.weight', 'head')
 */
export const isInside = (path: string, target: string): boolean =>
  path.split('.').some((_, i, words) => endsWith(words.slice(0, i + 1).join('.'), target))

/** The targets as a list, checked for callers who write no types. @throws {UnknownTarget} if they are not a list */
export const listed = (targets: readonly string[]): readonly string[] => {
  if (!Array.isArray(targets)) throw new UnknownTarget('the targets of a method are a list of names')
  return targets
}

/** The paths that targets match. @throws {UnknownTarget} if one matches none */
export const targeted = (params: unknown, targets: readonly string[], isMeant = isTarget): ReadonlySet<string> => {
  const paths = declaredLeaves('parameters', params).map(([path]) => path)
  const unknown = listed(targets).find(target => !paths.some(path => isMeant(path, target)))
  if (unknown !== undefined)
    throw new UnknownTarget(
      `no module is called ${unknown}: there are ${[...new Set(paths.map(path => leafName(moduleOf(path))))].join(', ')}`,
    )
  return new Set(paths.filter(path => targets.some(target => isMeant(path, target))))
}

/** The targets of a literal list, as a union; `string` if they are only known at run time. */
export type TargetsOf<List extends readonly string[]> = number extends List['length']
  ? string
  : AreLiterals<List> extends true
    ? List[number]
    : string
type AreLiterals<List extends readonly string[]> = List extends readonly [
  infer First extends string,
  ...infer Rest extends readonly string[],
]
  ? IsLiteral<First> extends true
    ? AreLiterals<Rest>
    : false
  : true

/** A path and its endings, extended by one more key. */
type Under<Endings extends string, K> = K extends string | number ? `${Endings}.${K}` | `${K}` : never
/** The same for a leaf, whose key `weight` also stands for the record around it. */
type Inside<Endings extends string, L, K> = K extends 'weight'
  ? Under<Endings, K> | (L extends Node ? Endings : never)
  : Under<Endings, K>

/**
 * The type for a leaf: `Yes` if a target matches it, `No` if none does, and either if that depends on a position in an
 * array, or on a key that is only known at run time. `Sure` are the known endings of its path, `Possible` the others.
 */
type Chosen<T extends string, Sure extends string, Possible extends string, Yes, No> = [Extract<T, Sure>] extends [
  never,
]
  ? [Extract<T, Possible>] extends [never]
    ? No
    : Yes | No
  : Yes

/** The mask of leaves by name, for a method that treats its targets alike. */
export type Select<P, T extends string, M> = string extends T ? Dynamic : SelectUnder<P, T, M, never, never>
type SelectUnder<P, T extends string, M, Sure extends string, Possible extends string> = P extends Node
  ? Chosen<T, Sure, Possible, M, Frozen>
  : P extends readonly (infer E)[]
    ? number extends P['length']
      ? readonly SelectUnder<E, T, M, never, Under<Sure | Possible, number>>[]
      : { readonly [K in keyof P]: SelectUnder<P[K], T, M, Under<Sure, K>, Known<Possible, K>> }
    : {
        readonly [K in keyof P]: string extends K
          ? SelectUnder<P[K], T, M, never, Under<Sure | Possible, string>>
          : SelectUnder<P[K], T, M, Inside<Sure, P[K], K>, KnownInside<Possible, P[K], K>>
      }
/** Unknown endings, extended by a known key. */
type Known<Possible extends string, K> = K extends string | number ? `${Possible}.${K}` : never
type KnownInside<Possible extends string, L, K> = K extends 'weight'
  ? Known<Possible, K> | (L extends Node ? Possible : never)
  : Known<Possible, K>

/** A function of types on leaves: the replacement of a targeted one. */
export interface LeafFunction {
  readonly leaf: unknown
  readonly becomes: unknown
}

/** The tree with targeted leaves replaced; opaque if the targets are only known at run time. */
export type Extend<P, T extends string, F extends LeafFunction> = string extends T
  ? unknown
  : ExtendUnder<P, T, F, never, never>
type ExtendUnder<
  P,
  T extends string,
  F extends LeafFunction,
  Sure extends string,
  Possible extends string,
> = P extends Node
  ? Chosen<T, Sure, Possible, (F & { readonly leaf: P })['becomes'], P>
  : P extends readonly (infer E)[]
    ? number extends P['length']
      ? readonly ExtendUnder<E, T, F, never, Under<Sure | Possible, number>>[]
      : { readonly [K in keyof P]: ExtendUnder<P[K], T, F, Under<Sure, K>, Known<Possible, K>> }
    : {
        readonly [K in keyof P]: string extends K
          ? ExtendUnder<P[K], T, F, never, Under<Sure | Possible, string>>
          : ExtendUnder<P[K], T, F, Inside<Sure, P[K], K>, KnownInside<Possible, P[K], K>>
      }

declare const targetError: unique symbol
/**
 * The type that replaces a method if a target names no leaf, so that `tsc` prints the reason and the existing names.
 */
export interface TargetError<Message extends string, ThereAre> {
  readonly [targetError]: readonly [Message, ThereAre]
}

/** `unknown`, or the error: each literal target must match a leaf. */
export type TargetFault<P, T extends string> = string extends T
  ? unknown
  : unknown extends P
    ? unknown
    : [Exclude<T, EndingsOf<P>>] extends [never]
      ? unknown
      : TargetError<`no module is called ${Exclude<T, EndingsOf<P>>}`, LeafNames<P>>
/** The paths of leaves and their endings, with `${number}` for a position in an array. */
type EndingsOf<P, Above extends string = never> = P extends Node
  ? Above
  : P extends readonly (infer E)[]
    ? number extends P['length']
      ? EndingsOf<E, Under<Above, number>>
      : { readonly [K in keyof P]: EndingsOf<P[K], Under<Above, K>> }[number]
    : { readonly [K in keyof P]-?: EndingsOf<P[K], Inside<Above, P[K], K>> }[keyof P]
/** The names of leaves: the last words of their paths. */
type LeafNames<P, Name = never> = P extends Node
  ? Name
  : P extends readonly (infer E)[]
    ? LeafNames<E, number extends P['length'] ? number : Extract<keyof P, `${number}`>>
    : { readonly [K in keyof P]-?: LeafNames<P[K], NameOf<P[K], K, Name>> }[keyof P]
/** The name of what is at a key: a `weight` has that of the record around it. */
type NameOf<L, K, Around> = K extends 'weight' ? (L extends Node ? ([Around] extends [never] ? K : Around) : K) : K

/** Ranks of some leaves, by path. */
export type Ranks = ReadonlyMap<string, number>
/** The rank of every target; `number` if some have ranks of their own. */
export type RankOf<R extends number, K extends Ranks | undefined> = [K] extends [undefined] ? R : number
