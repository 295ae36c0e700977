import { replaceFile, versions } from '../../host/index.ts'
import { isRecord, orThrow, refusal, shown } from '../../text/index.ts'
import { isValue, type AnyValue, type Tree } from '../../tune/index.ts'
import { leafOf, safetensorsBytes } from '../safetensors/write.ts'
import { dimsKey, ownPrefix, versionsKey } from './metadata.ts'

/** The choices of a saved file. */
export interface SaveOptions {
  /** Texts to keep in the file beside the tensors. */
  readonly metadata?: Readonly<Record<string, string>>
}

/** All values of a tree by path; anything else in it is refused. */
const valuesIn = (file: string, tree: unknown, path = ''): readonly (readonly [path: string, value: AnyValue])[] => {
  const under = (key: string): string => (path === '' ? key : `${path}.${key}`)
  if (isValue(tree)) {
    if (path === '') throw refusal(`${file}: a single value has no name: save a record, such as { weight: value }`)
    if (tree.shape.length !== tree.sizes.length)
      throw refusal(
        `${file}: ${path} has the sizes [${tree.sizes.join(', ')}] and the shape [${tree.shape.join(', ')}]`,
      )
    return [[path, tree]]
  }
  if (ArrayBuffer.isView(tree) || (!Array.isArray(tree) && !isRecord(tree)))
    throw refusal(
      `${file}: ${path === '' ? 'what is saved' : path} is ${ArrayBuffer.isView(tree) ? 'a typed array' : shown(tree)}, and neither a value nor a tree of values`,
    )
  return Object.entries(tree).flatMap(([key, child]) => valuesIn(file, child, under(key)))
}

/**
 * Saves a tree of values as a safetensors file: each value under its dotted path (`layers.0.up`), bit for bit. The
 * metadata holds the names of the dims, under `partensor.dims`, and versions, under `partensor.versions`. The file is
 * complete or, if anything fails, as it was before. PyTorch's `safetensors.torch.load_file` reads it.
 *
 * Rejects with one sentence for anything but values in the tree, two values with one path, numbers that are not finite,
 * or a file that cannot be written.
 * @example await save('weights.safetensors', weights, { metadata: { epoch: '3' } })
 */
export const saveValues = async (
  file: string,
  tree: Tree<AnyValue>,
  { metadata = {} }: SaveOptions = {},
): Promise<void> => {
  const values = valuesIn(file, tree)
  const own = Object.keys(metadata).find(key => key.startsWith(ownPrefix))
  if (own !== undefined) throw refusal(`${file}: the metadata ${own} is Partensor's own: choose another name`)
  const wrong = Object.entries(metadata).find(([, text]) => typeof text !== 'string')
  if (wrong !== undefined) throw refusal(`${file}: the metadata ${wrong[0]} is no text`)
  // data and dtype of a value belong together
  const leaves = values.map(([path, value]) => leafOf(path, value as Parameters<typeof leafOf>[1]))
  await orThrow(
    replaceFile(
      file,
      safetensorsBytes(leaves, {
        ...metadata,
        [dimsKey]: JSON.stringify(Object.fromEntries(values.map(([path, { shape }]) => [path, shape]))),
        [versionsKey]: JSON.stringify(versions()),
      }),
    ),
  )
}
