/**
 * Resolves the modules that an adapter targets, with the same semantics as the fields of PEFT's configs. Source:
 * huggingface/peft 0.21, tuners/tuners_utils.py (`check_target_module_exists`) and utils/other.py (`get_pattern_key`).
 */
import * as E from '../../either/index.ts'
import { attemptSync, refusal, type IoError, quoted } from '../../text/index.ts'
import type { WholeMatch } from '../../text/expression.ts'
import { pythonRegex } from './python-regex.ts'

/**
 * Modules by name: a list of module paths, or of words that paths end with; or one regular expression (Python's) for
 * whole paths.
 */
export type ModuleNames = readonly string[] | string

/** A request for modules: PEFT's fields, in camel case. */
export interface TargetRequest {
  /** `all-linear` is every linear module except the output head. */
  readonly targetModules: ModuleNames
  readonly excludeModules?: ModuleNames
  /** The numbers of the layers to transform; the others are left alone. */
  readonly layersToTransform?: readonly number[]
  /** The names of the lists of layers, such as `layers`; any name if it is empty. */
  readonly layersPattern?: readonly string[]
  /**
   * Modules that are trained whole and saved with the adapter: the ends of their paths, or of the paths of modules that
   * contain them.
   */
  readonly modulesToSave?: readonly string[]
  readonly rank: number
  /** The default alpha: the rank of each module, unless specified. */
  readonly alpha?: number
  /** Other ranks and alphas, by words or an expression that a path ends with; the first match counts. */
  readonly rankPattern?: Readonly<Record<string, number>>
  readonly alphaPattern?: Readonly<Record<string, number>>
  /** PEFT's option for biases. A model without biases ignores it. */
  readonly bias?: Bias
}
export type Bias = 'none' | 'all' | 'lora_only'

export interface ResolvedModule {
  readonly path: string
  readonly rank: number
  readonly alpha: number
}

type Matcher = (path: string) => boolean

const orThrowSync = <A>(result: E.Either<IoError, A>): A => {
  if (E.isLeft(result)) throw refusal(result.left.message)
  return result.right
}

const expression = (field: string, pattern: string): WholeMatch => orThrowSync(pythonRegex(field, pattern))
const endsWith = (path: string, name: string): boolean => path === name || path.endsWith(`.${name}`)

const named = (field: string, names: ModuleNames): Matcher => {
  if (typeof names !== 'string') return path => names.some(name => endsWith(path, name))
  const whole = expression(field, names)
  return path => whole.test(path)
}

/** A path and the paths of the modules that contain it. @example modulesAround('a.b.c') // ['a.b.c', 'a.b', 'a'] */
const modulesAround = (path: string): readonly string[] =>
  path.split('.').map((_, i, words) => words.slice(0, words.length - i).join('.'))

/**
 * A matcher of the leaves that `modules_to_save` names: PEFT takes every module whose path ends with a name, even
 * within a word, and everything inside it.
 */
const saved =
  (names: readonly string[]): Matcher =>
  path =>
    modulesAround(path).some(module => names.some(name => module.endsWith(name)))

/** Tests whether a path lies in one of the requested layers. */
const inLayers = ({
  layersToTransform,
  layersPattern,
}: Pick<TargetRequest, 'layersToTransform' | 'layersPattern'>): Matcher => {
  if (layersToTransform === undefined || layersToTransform.length === 0) return () => true
  const index = layerIndex(layersPattern)
  return path => {
    const layer = index(path)
    return layer !== undefined && layersToTransform.includes(layer)
  }
}

/**
 * The number of the layer that contains a path: the first segment that is a number, after the name of a list of layers.
 */
const layerIndex = (patterns: readonly string[] = []) => {
  const lists = patterns.map(pattern =>
    expression('layers_pattern', `(?:|.*?\\.)(?:${pattern})\\.(?P<index>\\d+)\\..*`),
  )
  return (path: string): number | undefined => {
    const found =
      lists.length === 0
        ? /^.*?\.[^.]*\.(?<index>\d+)\./.exec(path)
        : lists.map(list => list.exec(path)).find(match => match !== null)
    return found?.groups?.['index'] === undefined ? undefined : Number(found.groups['index'])
  }
}

/** Tests for the request of every linear module. @example isAllLinear('all-linear') // true */
export const isAllLinear = (names: ModuleNames): boolean =>
  typeof names === 'string' && names.toLowerCase() === 'all-linear'

const matcherOf = (request: Omit<TargetRequest, 'rank'>, isHead: Matcher): Matcher => {
  const { targetModules, excludeModules = [], layersToTransform, layersPattern = [], modulesToSave = [] } = request
  if (typeof targetModules === 'string' && !isAllLinear(targetModules)) {
    const field =
      layersToTransform !== undefined ? 'layers_to_transform' : layersPattern.length > 0 ? 'layers_pattern' : undefined
    if (field !== undefined) throw refusal(`${field} cannot be used where target_modules is a regular expression`)
  }
  if (layersPattern.length > 0 && layersToTransform === undefined)
    throw refusal('layers_pattern needs layers_to_transform')
  const target = isAllLinear(targetModules) ? (path: string) => !isHead(path) : named('target_modules', targetModules)
  const excluded = named('exclude_modules', excludeModules)
  const whole = saved(modulesToSave)
  const layer = inLayers(request)
  // a module that is named by its whole path is selected, whatever its layer
  const exact = (path: string): boolean => typeof targetModules !== 'string' && targetModules.includes(path)
  return path => target(path) && !excluded(path) && !whole(path) && (exact(path) || layer(path))
}

/**
 * A matcher of the targets; `all-linear` leaves out the modules for which `isHead` is true. Errors: an expression that
 * is not supported, fields that exclude each other.
 */
export const targetMatcher = (request: Omit<TargetRequest, 'rank'>, isHead: Matcher): E.Either<IoError, Matcher> =>
  attemptSync('targets', () => matcherOf(request, isHead))

/** A number by path: that of the first pattern that matches the end of the path. */
export const patternMatcher = (
  field: string,
  pattern: Readonly<Record<string, number>> = {},
): E.Either<IoError, (path: string) => number | undefined> =>
  attemptSync(field, () => {
    const cases = Object.entries(pattern).map(([key, value]) => [expression(field, `(.*\\.)?(${key})`), value] as const)
    return path => cases.find(([ending]) => ending.test(path))?.[1]
  })

const lastWords = (paths: readonly string[]): string =>
  [...new Set(paths.map(path => path.slice(path.lastIndexOf('.') + 1)))].join(', ')

/** Refuses names, numbers and patterns that match nothing: ignoring them would hide typing errors. */
const checkRequest = (request: TargetRequest, paths: readonly string[]): void => {
  const { targetModules, layersToTransform = [], layersPattern } = request
  const unknown =
    typeof targetModules === 'string'
      ? undefined
      : targetModules.find(name => !paths.some(path => endsWith(path, name)))
  if (unknown !== undefined)
    throw refusal(`target_modules: no module is called ${quoted(unknown)}: there are ${lastWords(paths)}`)
  const index = layerIndex(layersPattern)
  const layers = new Set(paths.flatMap(path => index(path) ?? []))
  const missing = layersToTransform.find(layer => !layers.has(layer))
  if (missing !== undefined)
    throw refusal(`layers_to_transform: there is no layer ${missing}: there are ${[...layers].join(', ') || 'none'}`)
}

const checkPattern = (
  field: string,
  pattern: Readonly<Record<string, number>> = {},
  chosen: readonly string[],
): void => {
  for (const key of Object.keys(pattern)) {
    const ending = expression(field, `(.*\\.)?(${key})`)
    if (!chosen.some(path => ending.test(path)))
      throw refusal(`${field}: ${quoted(key)} matches no target: there are ${lastWords(chosen)}`)
  }
}

/**
 * The modules that a request names, among the given linear modules, each with its rank and alpha; `all-linear` leaves
 * out those for which `isHead` is true. Errors: a name that no module has, an expression or a layer that matches
 * nothing, an expression that is not supported; one sentence each.
 * @example resolveTargets({ targetModules: ['q_proj'], rank: 8 }, ['model.layers.0.self_attn.q_proj', 'lm_head'], isHead)
 */
export const resolveTargets = (
  request: TargetRequest,
  linearPaths: readonly string[],
  isHead: Matcher,
): E.Either<IoError, readonly ResolvedModule[]> =>
  attemptSync('targets', () => {
    const matches = matcherOf(request, isHead)
    checkRequest(request, linearPaths)
    const chosen = linearPaths.filter(matches)
    if (chosen.length === 0) {
      throw refusal(
        `target_modules: ${quoted(request.targetModules)} leaves no module: there are ${lastWords(linearPaths)}`,
      )
    }
    checkPattern('rank_pattern', request.rankPattern, chosen)
    checkPattern('alpha_pattern', request.alphaPattern, chosen)
    const rankOf = orThrowSync(patternMatcher('rank_pattern', request.rankPattern))
    const alphaOf = orThrowSync(patternMatcher('alpha_pattern', request.alphaPattern))
    return chosen.map(path => {
      const rank = rankOf(path) ?? request.rank
      return { path, rank, alpha: alphaOf(path) ?? request.alpha ?? rank }
    })
  })

/**
 * The leaves that `modules_to_save` names, among all paths: modules by their path or the words that it ends with, and
 * everything inside them. Errors: a name that no module has; the message lists the names that exist.
 * @example resolveSaved({ modulesToSave: ['lm_head'] }, paths)
 */
export const resolveSaved = (
  { modulesToSave = [] }: Pick<TargetRequest, 'modulesToSave'>,
  paths: readonly string[],
): E.Either<IoError, readonly string[]> =>
  attemptSync('modules_to_save', () => {
    const unknown = modulesToSave.find(name => !paths.some(saved([name])))
    if (unknown !== undefined)
      throw refusal(`modules_to_save: no module is called ${quoted(unknown)}: there are ${lastWords(paths)}`)
    return paths.filter(saved(modulesToSave))
  })

/** A matcher of the paths that `modules_to_save` names, and of those inside a named module. */
export const savedMatcher = ({ modulesToSave = [] }: Pick<TargetRequest, 'modulesToSave'>): Matcher =>
  saved(modulesToSave)

/**
 * The names in an adapter's settings that match no module of a base, one sentence each. The program that wrote them
 * ignores them, and they may be a mistake. Patterns and `targets` have been checked before.
 * @example unmetNames({ targetModules: ['c_attn', 'q_proj'] }, paths) // ['target_modules names "c_attn", and the base has no such module']
 */
export const unmetNames = (request: Omit<TargetRequest, 'rank'>, paths: readonly string[]): readonly string[] => {
  const {
    targetModules,
    modulesToSave = [],
    rankPattern = {},
    alphaPattern = {},
    layersToTransform = [],
    layersPattern,
  } = request
  const unmet = (field: string, names: readonly string[], has: (name: string) => boolean): readonly string[] =>
    names.filter(name => !has(name)).map(name => `${field} names ${quoted(name)}, and the base has no such module`)
  const ending =
    (field: string) =>
    (key: string): boolean => {
      const pattern = expression(field, `(.*\\.)?(${key})`)
      return paths.some(path => pattern.test(path))
    }
  const index = layerIndex(layersPattern)
  const layers = new Set(paths.flatMap(path => index(path) ?? []))
  return [
    ...unmet(
      'target_modules',
      typeof targetModules === 'string' ? [] : targetModules,
      name => name === 'all' || paths.some(path => endsWith(path, name)),
    ),
    ...unmet('modules_to_save', modulesToSave, name => paths.some(saved([name]))),
    ...unmet('rank_pattern', Object.keys(rankPattern), ending('rank_pattern')),
    ...unmet('alpha_pattern', Object.keys(alphaPattern), ending('alpha_pattern')),
    ...layersToTransform
      .filter(layer => !layers.has(layer))
      .map(layer => `layers_to_transform names layer ${layer}, which the base does not have`),
  ]
}
