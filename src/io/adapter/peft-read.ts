import * as E from 'fp-ts/lib/Either.js'
import type { Shape, Value } from '../../tensor/index.ts'
import { toF32, valueOf, type Archive, type StoredValue } from '../checkpoint/archive.ts'
import { refusal, quoted } from '../../text/index.ts'
import { layoutOf } from '../checkpoint/load.ts'
import {
  leafName,
  recordOf,
  type MethodName,
  type PeftForm,
  type PeftTensor,
  type Tensors,
  type Word,
} from '../../tune/index.ts'
import { savedMatcher, targetMatcher } from '../../tune/modules/modules.ts'
import type { Adapter } from './adapter.ts'
import { fromStorage, isHead, leafSizes, storedLeaf, tieOf } from '../../model/index.ts'
import { checkAdapter } from './layout.ts'
import { counter } from './peft-base.ts'
import { inPeft, parsePeftConfig, type PeftConfig } from './peft-config.ts'
import { fitsPeft, fromPeft, isConvolved, peftPrefix, peftShared } from './peft-layout.ts'

type Floats = Value<Shape>
type Tensor = Tensors[string]

const endings = [...new Set(inPeft.flatMap(({ form }) => Object.values(form.tensors).map(([ending]) => ending)))]

/**
 * The place of a tensor: its module, and its name there; the weight of a whole module has no name, one of the base is
 * `base_layer`, and a running statistic is a `buffer`.
 */
interface Place {
  readonly path: string
  readonly name: string | undefined
}
const repeats = 'base_layer'
const buffer = 'buffer'

const placeOf = (subject: string, form: PeftForm, key: string, sizes: readonly number[]): Place => {
  const wrong = () =>
    refusal(`${subject}: tensor ${key} belongs to no adapter of the type that adapter_config.json names`)
  if (!key.startsWith(peftPrefix)) throw wrong()
  const own = key.slice(peftPrefix.length)
  const older = Object.entries(form.older ?? {}).find(([ending]) => own.endsWith(`.${ending}`))
  const rest = older ? own.slice(0, -older[0].length) + older[1] : own
  // among tensors with the same name, the one with these sizes
  const found = Object.entries(form.tensors).filter(([, [ending]]) => rest.endsWith(`.${ending}`))
  const [name, [ending = ''] = []] = found.find(([, tensor]) => fitsPeft(tensor, sizes)) ?? found[0] ?? []
  if (name !== undefined) return { path: rest.slice(0, -ending.length - 1), name }
  const refused = Object.entries(form.refused ?? {}).find(([end]) => rest.endsWith(`.${end}`))
  if (refused) throw refusal(`${subject}: tensor ${key} is ${refused[1]}`)
  // PEFT saves the base's own weight together with its adapter
  const repeated = /^(.*)\.base_layer\.weight$/.exec(rest)?.[1]
  if (repeated !== undefined && tieOf(repeated) !== undefined) return { path: repeated, name: repeats }
  const saved = rest.replace(/\.modules_to_save(?:\.default)?(?=\.[^.]*$)/, '')
  if (storedLeaf(saved).kind === 'statistic' && storedLeaf(saved).name === saved) return { path: saved, name: buffer }
  const bias = /^(.*?)(?:\.modules_to_save(?:\.default)?|\.base_layer)?\.bias$/.exec(rest)?.[1]
  if (bias !== undefined && !endings.some(end => `${bias}.weight`.endsWith(`.${end}`)))
    return { path: `${bias}.bias`, name: undefined }
  const whole = /^(.*?)(?:\.modules_to_save(?:\.default)?)?\.weight$/.exec(rest)
  if (whole === null || endings.some(end => rest.endsWith(`.${end}`)) || /\.base_layer\b/.test(rest)) throw wrong()
  return { path: whole[1]!, name: undefined }
}

const read = async (archive: Archive, key: string): Promise<Tensor> => {
  const entry = archive.tensors.get(key)
  if (entry === undefined) throw refusal(`${archive.path}: tensor ${key} is missing`)
  const value = await entry.read()
  return value.dtype === 'i32' ? value : valueOf('f32', value.sizes, toF32(`${archive.path}: tensor ${key}`, value))
}

/** A whole weight as its leaf; one of other sizes than its leaf can have is refused later, with those of the base. */
const asLeaf = (path: string, value: Floats): Floats => {
  const layout = layoutOf(path)
  if (leafSizes(layout, value.sizes) === undefined) return value
  const { sizes, data } = fromStorage(layout, value)
  return valueOf('f32', sizes, data)
}

const floats = async (archive: Archive, key: string): Promise<Floats> => {
  const value = await read(archive, key)
  if (value.dtype !== 'f32')
    throw refusal(`${archive.path}: tensor ${key} holds integers: expected floating-point numbers`)
  return value
}

/** Rejects with an `IoError` a module that `target_modules` does not name: PEFT would silently leave it out. */
const checkTargets = (file: string, { origin, settings }: PeftConfig, paths: Iterable<string>): void => {
  const targets = targetMatcher({ ...settings, targetModules: origin.targetModules }, isHead)
  if (E.isLeft(targets)) throw refusal(`${file}: ${targets.left.message}`)
  // 'all-linear' does not rule out a head that has tensors nevertheless
  for (const path of paths)
    if (!targets.right(path)) throw refusal(`${file}: target_modules does not name ${path}, of which there are tensors`)
}

/** Rejects with an `IoError` a module that `modules_to_save` names and the file lacks. */
const checkSaved = (file: string, { settings: { modulesToSave = [] } }: PeftConfig, paths: readonly string[]): void => {
  const missing = modulesToSave.find(name => !paths.some(savedMatcher({ modulesToSave: [name] })))
  if (missing !== undefined)
    throw refusal(`${file}: modules_to_save names ${quoted(missing)}, of which there are no tensors`)
}

/**
 * Tests whether head and embedding of a tied base are trained separately: PEFT gives each module that it adapts or
 * saves a weight of its own. A whole weight that no setting names is used for both.
 */
const trainedApart = (
  settings: PeftConfig['settings'],
  modules: readonly string[],
  whole: readonly string[],
): true | undefined => {
  const named = savedMatcher(settings)
  return [...modules, ...whole.filter(named)].some(path => tieOf(path) !== undefined) ? true : undefined
}

/** Rejects with an `IoError` a tensor of a convolution that means something else in PEFT than here. */
const checkConvolution = (subject: string, method: MethodName, { convolutions }: PeftForm, path: string): void => {
  const layout = layoutOf(path)
  if (isConvolved(layout) && !convolutions)
    throw refusal(`${subject} is of a convolution, of which PEFT's ${recordOf(method).title} is not supported`)
  if (layout === 'depthwise')
    throw refusal(
      `${subject} mixes the channels of ${path}, which convolves each by itself: it is no change of its weight, and PEFT cannot merge it either`,
    )
}

/** Reads an adapter that PEFT wrote. Rejects with an `IoError` that names the file, and the field or tensor. */
export const readPeft = async (
  archive: Archive,
  file: string,
  json: Readonly<Record<string, unknown>>,
): Promise<Adapter> => {
  const lastWord = (key: string): readonly string[] => {
    const found = endings.find(ending => key.endsWith(`.${ending}`))
    return found === undefined ? [] : [leafName(key.slice(0, -found.length - 1))]
  }
  const config = parsePeftConfig(file, json, [...new Set([...archive.tensors.keys()].flatMap(lastWord))])
  const { method, form, rank, origin, settings } = config
  // a convolution and a matrix have forms of their own
  const ours = (name: string, path: string): readonly Word[] => {
    const forms = recordOf(method).tensors.flatMap(tensors => (tensors[name] ? [tensors[name].sizes] : []))
    const axes = layoutOf(path) === 'convolution' ? 4 : 2
    return forms.find(sizes => sizes.length === axes) ?? forms[0] ?? []
  }
  const sharedKeys: ReadonlyMap<string, { readonly name: string; readonly tensor: PeftTensor }> = new Map(
    Object.entries(form.shared ?? {}).map(([name, tensor]) => [`${peftShared}${tensor[0]}`, { name, tensor }] as const),
  )
  const parts = new Map<string, Tensors>()
  const whole = new Map<string, Floats>()
  const repeated = new Map<string, StoredValue>()
  const shared: Record<string, Tensor> = {}
  const buffers = new Map<string, Floats>()
  for (const key of [...archive.tensors.keys()].filter(key => !key.endsWith(`.${counter}`)).sort()) {
    const one = sharedKeys.get(key)
    if (one !== undefined) {
      const words = recordOf(method).shared[one.name]!.sizes
      shared[one.name] = fromPeft(archive.path, key, await floats(archive, key), words, one.tensor, 'linear')
      continue
    }
    const { path, name } = placeOf(archive.path, form, key, archive.tensors.get(key)!.sizes)
    if (name === repeats) repeated.set(path, await archive.tensors.get(key)!.read())
    else if (name === buffer) buffers.set(path, await floats(archive, key))
    else if (name === undefined) {
      const value = await floats(archive, key)
      whole.set(path, asLeaf(path, value))
    } else {
      const value = await read(archive, key)
      checkConvolution(`${archive.path}: tensor ${key}`, method, form, path)
      const tensor = fromPeft(archive.path, key, value, ours(name, path), form.tensors[name]!, layoutOf(path))
      parts.set(path, { ...parts.get(path), [name]: tensor })
    }
  }
  checkTargets(file, config, parts.keys())
  checkSaved(file, config, [...whole.keys(), ...buffers.keys()])
  const untied = config.ensureTied ? undefined : trainedApart(settings, [...parts.keys()], [...whole.keys()])
  // `checkAdapter` finds out whether the tensors are those of the method
  const adapter = {
    ...origin,
    ...settings,
    method,
    ...(rank === undefined ? {} : { rank }),
    modules: parts,
    ...(whole.size > 0 ? { whole } : {}),
    ...(buffers.size > 0 ? { buffers } : {}),
    ...(sharedKeys.size > 0 ? { shared } : {}),
    ...(repeated.size > 0 ? { repeated } : {}),
    ...(untied === undefined ? {} : { untied }),
  } as unknown as Adapter
  checkAdapter(archive.path, adapter)
  return adapter
}
