import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import {
  languageArchitectures as architectures,
  parameterSizes,
  storedLeaf,
  tieOf,
  type LanguageArchitecture,
} from '../../src/model/index.ts'
import { configOf } from '../support/architectures.ts'
import { leafNamed } from '../../src/io/gguf/model.ts'

/** Words that a GGUF file may have for a tensor. */
const ggufNames = (blocks: number, { blocks: inner, outer }: NonNullable<LanguageArchitecture['gguf']>) =>
  ['weight', 'bias'].flatMap(ending => [
    ...Object.keys(outer).map(part => `${part}.${ending}`),
    ...Array.from({ length: blocks }, (_, i) => Object.keys(inner).map(part => `blk.${i}.${part}.${ending}`)).flat(),
  ])

/** The laws of an architecture: what it breaks, in words. */
const faults = (architecture: LanguageArchitecture, changes: object = {}): readonly string[] => {
  const config = configOf(architecture, changes)
  const { embedding, head, layers, targets, gguf, stored, name } = architecture
  const sizes = new Map(parameterSizes(architecture.model(config)))
  const paths = [...sizes.keys()]
  const names = new Set(paths.map(path => stored(path).name))
  const kind = (path: string) => stored(path).kind
  const inFile =
    gguf && ggufNames(config.num_hidden_layers, gguf).map(tensor => leafNamed({ ...architecture, gguf }, tensor))
  const again = architecture.config({ ...architecture.json(config) }, 'config.json')
  return [
    ...(names.size === paths.length ? [] : ['two leaves have one name in a checkpoint']),
    ...paths.flatMap(path => {
      const rank = sizes.get(path)!.length
      const isMatrix = ['embedding', 'linear', 'head'].includes(kind(path))
      return [
        ...(rank === (isMatrix ? 2 : 1) ? [] : [`${path} has ${rank} axes, and is called a ${kind(path)}`]),
        ...((stored(path).layout === 'linear') === ['linear', 'head'].includes(kind(path))
          ? []
          : [`${path} is turned wrongly`]),
        // adapters are read before their base is known
        ...(JSON.stringify(storedLeaf(path)) === JSON.stringify(stored(path))
          ? []
          : [`${path} is another leaf elsewhere`]),
        ...(inFile === undefined || inFile.filter(found => found === path).length === 1
          ? []
          : [`${path} does not have one name in a GGUF file`]),
      ]
    }),
    ...(kind(embedding) === 'embedding' && sizes.has(embedding) ? [] : ['there is no embedding']),
    ...(kind(head) === 'head' && sizes.has(head) !== config.tie_word_embeddings ? [] : ['the head is not the head']),
    ...(tieOf(head)?.embedding === embedding && tieOf(embedding)?.head === head
      ? []
      : ['head and embedding are no pair']),
    ...Array.from({ length: config.num_hidden_layers }, (_, i) =>
      paths.some(path => path.startsWith(`${layers}.${i}.`)) ? [] : [`there is no layer ${i}`],
    ).flat(),
    ...targets.flatMap(target => {
      const meant = paths.filter(path => path.endsWith(`.${target}`))
      return meant.length === config.num_hidden_layers && meant.every(path => kind(path) === 'linear')
        ? []
        : [`${target} is no linear module of each layer`]
    }),
    ...(E.isRight(again) &&
    JSON.stringify(again.right) === JSON.stringify({ ...config, architectures: [architecture.className] })
      ? []
      : [`the config of ${name} is not what its config.json says`]),
  ]
}

test('there are several architectures, each under a name of its own', () => {
  assert.ok(architectures.length >= 3)
  for (const key of ['name', 'className'] as const)
    assert.equal(new Set(architectures.map(architecture => architecture[key])).size, architectures.length)
})

for (const architecture of architectures) {
  const { name } = architecture
  for (const tie_word_embeddings of [true, false])
    test(`${name}: leaves have kinds, names and one place each, and a config says itself; the head is ${tie_word_embeddings ? 'tied' : 'apart'}`, () => {
      assert.deepEqual(faults(architecture, { tie_word_embeddings }), [])
    })

  const { gguf, stored, json } = architecture
  assert.ok(gguf)
  const mutants: readonly (readonly [string, Partial<LanguageArchitecture>, RegExp])[] = [
    [
      'norms are called linear',
      { stored: path => (path.endsWith('norm') ? { ...stored(path), kind: 'linear' } : stored(path)) },
      /1 axes/,
    ],
    ['nothing is turned', { stored: path => ({ ...stored(path), layout: 'same' }) }, /turned wrongly/],
    ['names leave the layer out', { stored: path => ({ ...stored(path), name: path.replace(/\d/, '') }) }, /one name/],
    ['the head is an embedding', { head: architecture.embedding }, /head/],
    ['layers are elsewhere', { layers: 'transformer.h' }, /layer 0|GGUF/],
    ['a target is no module', { targets: ['c_attn'] }, /c_attn is no linear module/],
    ['a GGUF name is forgotten', { gguf: { ...gguf, outer: {} } }, /does not have one name in a GGUF file/],
    [
      'rope is not written down',
      { json: config => ({ ...json(config), rope_scaling: null }) },
      /not what its config.json says/,
    ],
  ]
  for (const [mutant, change, fault] of mutants)
    test(`${name}: the laws refute a mutant: ${mutant}`, () => {
      assert.match(faults({ ...architecture, ...change }).join('\n'), fault)
    })
}

test('biases of Qwen3 are leaves if its config asks for them, and have names in every place', () => {
  const qwen3 = architectures.find(({ name }) => name === 'qwen3')!
  const biases = (attention_bias: boolean): number =>
    parameterSizes(qwen3.model(configOf(qwen3, { attention_bias }))).filter(
      ([path]) => qwen3.stored(path).kind === 'bias',
    ).length
  assert.deepEqual([biases(false), biases(true)], [0, 8])
  assert.deepEqual(faults(qwen3, { attention_bias: true }), [])
})
