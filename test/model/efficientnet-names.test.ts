import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import {
  imageArchitectures,
  parameterSizes,
  parseConfig,
  stateSizes,
  storedLeaf,
  storedSizes,
} from '../../src/model/index.ts'
import { count } from '../../src/tensor/index.ts'
import { moduleOf } from '../../src/tune/index.ts'

/** The parameters of networks in Python, and a hash of the names and sizes of all their tensors. */
interface Golden {
  readonly networks: Readonly<Record<string, { readonly parameters: number; readonly names: string }>>
}
const golden = JSON.parse(
  readFileSync(new URL('../golden/efficientnet/values.json', import.meta.url), 'utf8'),
) as Golden

/** The config of an architecture, as a config.json has it. */
const configOf = (json: Readonly<Record<string, unknown>>) => {
  const parsed = parseConfig(json, 'config.json')
  if (E.isLeft(parsed)) assert.fail(parsed.left.message)
  assert.equal(parsed.right.task, 'images')
  return parsed.right
}
for (const [name, { parameters, names }] of Object.entries(golden.networks))
  test(`${name} has ${parameters} parameters, and its tensors have the names and sizes that they have in Python`, () => {
    const { architecture, config } = configOf({ architecture: name })
    assert.equal(architecture.name, name)
    const model = architecture.model(config)
    const found = stateSizes(model).map(([path, sizes]) => {
      const stored = architecture.stored(path)
      return { ...stored, sizes: storedSizes(stored.layout, sizes) }
    })
    const numbers = found.map(({ kind, sizes }) => (kind === 'statistic' ? 0 : count(sizes)))
    assert.equal(
      numbers.reduce((a, b) => a + b),
      parameters,
    )
    const lines = found.map(({ name: tensor, sizes }) => `${tensor} [${sizes.join(', ')}]\n`).sort()
    assert.equal(createHash('sha256').update(lines.join('')).digest('hex'), names)
  })

for (const [name, parameters] of [
  ['efficientnet_v2_s', 21_458_488],
  ['efficientnet_v2_l', 118_515_272],
  ['efficientnet-lite0', 4_652_008],
] as const)
  test(`${name} has ${parameters} parameters`, () => {
    const { architecture, config } = configOf({ architecture: name })
    const sizes = parameterSizes(architecture.model(config))
    assert.equal(
      sizes.reduce((n, [, own]) => n + count(own), 0),
      parameters,
    )
  })

const efficient = imageArchitectures.filter(({ name }) => name.includes('efficient'))
for (const architecture of efficient) {
  const { name } = architecture
  test(`${name}: every leaf has a name of its own, which its module has too, and a config says itself`, () => {
    const { config } = configOf({ architecture: name, num_classes: 4, drop_rate: 0.25 })
    const leavesOf = stateSizes(architecture.model(config))
    assert.equal(new Set(leavesOf.map(([path]) => architecture.stored(path).name)).size, leavesOf.length)
    for (const [path, sizes] of leavesOf) {
      const stored = architecture.stored(path)
      assert.deepEqual(architecture.stored(moduleOf(path)), stored)
      assert.deepEqual(storedLeaf(path), stored, path)
      const rank = { statistic: 1, norm: 1, bias: 1, linear: 2, head: 2, embedding: 2, convolution: [3, 4] }[
        stored.kind
      ]
      assert.ok([rank].flat().includes(sizes.length), path)
      assert.equal(stored.layout === 'depthwise', sizes.length === 3, path)
    }
    assert.deepEqual(configOf(architecture.json(config)).config, config)
    assert.equal(architecture.stored(architecture.head).kind, 'head')
    for (const target of architecture.targets)
      for (const [path] of leavesOf.filter(([leaf]) => moduleOf(leaf).endsWith(`.${target}`)))
        assert.equal(architecture.stored(path).kind, path.endsWith('.weight') ? 'convolution' : 'statistic')
  })
}

test('a config of timm is read, and what it asks for and is not computed is refused by the name of its field', () => {
  const timmConfig = {
    architecture: 'tf_efficientnetv2_s',
    num_classes: 1000,
    num_features: 1280,
    global_pool: 'avg',
    model_args: { drop_path_rate: 0.1 },
    pretrained_cfg: { input_size: [3, 300, 300], num_classes: 1000 },
  }
  const { image_size, labels, ...rates } = configOf(timmConfig).config
  assert.deepEqual([image_size, labels.length], [300, 1000])
  assert.deepEqual(rates, { num_channels: 3, drop_rate: 0.2, drop_path_rate: 0.1 })
  const named = configOf({ ...timmConfig, num_classes: 2, label_names: ['a', 'b'] }).config
  assert.deepEqual(named.labels, ['a', 'b'])
  const refusals: readonly (readonly [Readonly<Record<string, unknown>>, RegExp])[] = [
    [{ global_pool: 'avgmax' }, /^config\.json: global_pool is "avgmax": expected "avg"$/],
    [{ model_args: { output_stride: 16 } }, /model_args is .*: expected drop_rate and drop_path_rate alone$/],
    [{ drop_rate: 1 }, /drop_rate is 1: expected a number from 0 to 0\.999$/],
    [{ label_names: ['a'] }, /num_labels is 1000: expected 1, as id2label says,$/],
    [{ architecture: 'tf_efficientnetv2_xl' }, /model_type is "tf_efficientnetv2_xl"; only .* are supported$/],
  ]
  for (const [changes, due] of refusals) {
    const parsed = parseConfig({ ...timmConfig, ...changes }, 'config.json')
    assert.match(E.isLeft(parsed) ? parsed.left.message : 'accepted', due)
  }
})
