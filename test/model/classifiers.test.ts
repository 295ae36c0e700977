import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import {
  imageArchitectures,
  leafSizes,
  stateSizes,
  storedLeaf,
  storedSizes,
  type ImageArchitecture,
} from '../../src/model/index.ts'
import { moduleOf } from '../../src/tune/index.ts'
import { imageConfigOf } from '../support/architectures.ts'

/** The laws of an architecture of image classifiers: what it breaks, in words. */
const faults = (architecture: ImageArchitecture): readonly string[] => {
  const { roots, stored, head, targets, modulesToSave = [], name } = architecture
  const config = imageConfigOf(architecture)
  const leaves = stateSizes(architecture.model(config))
  const paths = leaves.map(([path]) => path)
  const modules = new Set(paths.map(moduleOf))
  const names = paths.map(path => stored(path).name)
  const others = paths.flatMap(path => stored(path).alias ?? [])
  const known = new Map(paths.map(path => [stored(path).name, path]))
  const again = architecture.config({ ...architecture.json(config) }, 'config.json')
  const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)
  return [
    ...(new Set(names).size === paths.length ? [] : ['two leaves have one name in a checkpoint']),
    ...(new Set(others).size === others.length ? [] : ['two leaves have one other name']),
    ...paths.flatMap((path, i) => {
      const { kind, layout, alias } = stored(path)
      const sizes = leaves[i]![1]
      const rank = sizes.length
      return [
        ...(roots.some(root => path.startsWith(`${root}.`)) ? [] : [`${path} has a root that is not said`]),
        ...(same(leafSizes(layout, storedSizes(layout, sizes)), sizes) ? [] : [`${path} does not survive ${layout}`]),
        ...(same(stored(moduleOf(path)), stored(path)) ? [] : [`${path} is another leaf than its module`]),
        // adapters are read before their base is known
        ...(same(storedLeaf(path), stored(path)) ? [] : [`${path} is another leaf elsewhere`]),
        ...(alias === undefined || known.get(alias) === undefined ? [] : [`${path} has the other name of a leaf`]),
        ...(['norm', 'bias', 'statistic'].includes(kind) && rank !== 1 ? [`${path} is no vector`] : []),
        ...((kind === 'linear' || kind === 'head') && !(rank === 2 && (layout === 'linear' || layout === 'pointwise'))
          ? [`${path} is no turned matrix`]
          : []),
        ...((kind === 'convolution') === ['convolution', 'depthwise'].includes(layout)
          ? []
          : [`${path} is stored as no ${kind} is`]),
      ]
    }),
    ...(modules.has(head) && stored(head).kind === 'head' ? [] : ['the head is not the head']),
    ...[...targets, ...modulesToSave].flatMap(target =>
      [...modules].some(path => path === target || path.endsWith(`.${target}`)) ? [] : [`${target} is no module`],
    ),
    ...(E.isRight(again) && same(again.right, config)
      ? []
      : [`the config of ${name} is not what its config.json says`]),
    ...(same(imageConfigOf(architecture).labels.length, leaves.find(([path]) => moduleOf(path) === head)?.[1].at(-1))
      ? []
      : ['the head has another number of classes than the config']),
  ]
}

for (const architecture of imageArchitectures) {
  const { name, stored, json } = architecture
  test(`${name}: leaves have kinds, names and one place each, and a config says itself`, () => {
    assert.deepEqual(faults(architecture), [])
  })

  const mutants: readonly (readonly [string, Partial<ImageArchitecture>, RegExp])[] = [
    [
      'names leave out numbers',
      { stored: path => ({ ...stored(path), name: stored(path).name.replaceAll(/\d/g, '') }) },
      /one name/,
    ],
    ['nothing is turned', { stored: path => ({ ...stored(path), layout: 'same' }) }, /no turned matrix/],
    ['a root is forgotten', { roots: [] }, /root that is not said/],
    [
      'the head is a linear layer',
      { stored: path => (stored(path).kind === 'head' ? { ...stored(path), kind: 'linear' } : stored(path)) },
      /not the head/,
    ],
    ['a target is no module', { targets: ['c_attn'] }, /c_attn is no module/],
    ['a module is told from its weight', { stored: path => ({ ...stored(path), name: path }) }, /another leaf/],
    [
      'classes are not written down',
      { json: config => ({ ...json(config), id2label: { 0: 'cat' }, num_labels: 1 }) },
      /not what its config\.json says/,
    ],
  ]
  for (const [mutant, change, fault] of mutants)
    test(`${name}: the laws refute a mutant: ${mutant}`, () => {
      assert.match(faults({ ...architecture, ...change }).join('\n'), fault)
    })
}
