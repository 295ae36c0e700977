import assert from 'node:assert/strict'
import { readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadShapes, type AnyLoaded } from '../../src/io/index.ts'
import { architectures, described, stateSizes } from '../../src/model/index.ts'
import { entriesOf } from '../../src/io/checkpoint/checkpoint.ts'
import { inDirectory, message, put, right } from '../support/archives.ts'

const golden = join(import.meta.dirname, '../golden')
const tiny = join(golden, 'llama-tiny')
const config: Readonly<Record<string, unknown>> = JSON.parse(await readFile(join(tiny, 'config.json'), 'utf8'))

/** The number of parameters, without buffers. */
const parameters = ({ checkpoint }: AnyLoaded): number =>
  [...checkpoint.tensors.values()]
    .filter(({ name }) => checkpoint.architecture.stored(name).kind !== 'statistic')
    .reduce((sum, { sizes }) => sum + sizes.reduce((a, b) => a * b, 1), 0)

/** The parameters of published models as transformers and torchvision count them. */
const counts: Readonly<Record<string, number>> = {
  'llama2-7b': 6_738_415_616,
  'llama2-13b': 13_015_864_320,
  'llama3-8b': 8_030_261_248,
  'llama3.1-70b': 70_553_706_496,
  'smollm2-135m': 134_515_008,
  'vit-b16': 86_567_656,
  'efficientnetv2-s': 21_458_488,
  'efficientnetv2-m': 54_139_356,
  'efficientnetv2-l': 118_515_272,
}

test('a published model has as many parameters as its authors count', async () => {
  for (const [name, count] of Object.entries(counts))
    assert.equal(parameters(await right(loadShapes(name))), count, name)
})

test('every name that an architecture states opens, and a name is stated once', async () => {
  const names = architectures.flatMap(({ published = {} }) => Object.keys(published))
  assert.deepEqual([...names].sort(), Object.keys(counts).sort())
})

test('a model opened from its config alone has the tensors of the same model with weights, in their order', async () => {
  for (const name of ['llama-tiny', 'vit-tiny', 'qwen/qwen3-tiny']) {
    const directory = join(golden, name)
    const withWeights = await right(loadShapes(directory))
    const alone = await right(loadShapes(join(directory, 'config.json')))
    const sizes = ({ checkpoint }: AnyLoaded) => [...entriesOf(checkpoint)].map(([path, { sizes: own }]) => [path, own])
    assert.deepEqual(sizes(alone), sizes(withWeights), name)
    assert.deepEqual(alone.checkpoint.config, withWeights.checkpoint.config)
    assert.equal(stateSizes(described(alone.checkpoint).model()).length, alone.checkpoint.tensors.size)
    await withWeights.checkpoint.close()
  }
})

test('a directory without weights, a file of weights and a config in a directory are the same model', async () => {
  const file = await right(loadShapes(join(tiny, 'model.safetensors')))
  await file.checkpoint.close()
  await inDirectory(async directory => {
    await put(directory, 'config.json', JSON.stringify(config))
    const alone = await right(loadShapes(directory))
    assert.equal(parameters(alone), parameters(file))
    await unlink(join(directory, 'config.json'))
    assert.match(await message(loadShapes(directory)), /config\.json: no such file or directory/)
  })
})

test('nothing is read from a model of shapes alone: the message names the tensor', async () => {
  const { checkpoint } = await right(loadShapes('llama3-8b'))
  const entry = checkpoint.tensors.get('model.norm.weight')!
  await assert.rejects(entry.read(), /llama3-8b: tensor model\.norm\.weight has no numbers: only its sizes are known/)
  assert.match(await message(entry.readF32()), /only its sizes are known/)
})

test('a name that nothing has lists the names that there are, in one sentence', async () => {
  assert.equal(
    await message(loadShapes('llama9')),
    `llama9: no such file or directory, and no model of this name: there are ${Object.keys(counts).join(', ')}`,
  )
})

test('a config that lacks a field, or whose sizes overflow, is refused in one sentence', async () => {
  await inDirectory(async directory => {
    const { hidden_size: _, ...lacking } = config
    const refused = async (json: unknown): Promise<string> => {
      const path = await put(directory, 'shapes.json', JSON.stringify(json))
      const said = await message(loadShapes(path))
      assert.doesNotMatch(said, /\n/)
      return said
    }
    assert.match(await refused(lacking), /shapes\.json: hidden_size is missing: expected an integer/)
    assert.match(
      await refused({ ...config, hidden_size: 2 ** 40 }),
      /hidden_size is 1099511627776: expected an integer/,
    )
    const vast = { hidden_size: 2 ** 20, intermediate_size: 2 ** 22, num_hidden_layers: 2 ** 12 }
    assert.match(await refused({ ...config, ...vast }), /the model has more parameters than can be counted/)
    assert.match(await refused([]), /shapes\.json/)
  })
})
