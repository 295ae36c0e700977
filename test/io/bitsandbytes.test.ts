import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { unpackedTensors, withoutQuantization } from '../../src/io/checkpoint/bitsandbytes.ts'
import { hashOf, openCheckpoint } from '../../src/io/checkpoint/checkpoint.ts'
import { openSafetensors } from '../../src/io/safetensors/read.ts'
import { dequantizeNF4, quantizeNF4 } from '../../src/tune/index.ts'
import { inDirectory, message, put, right } from '../support/archives.ts'

const golden = join(import.meta.dirname, '../golden/bitsandbytes')
const config = await readFile(join(golden, 'config.json'), 'utf8')
const file = await readFile(join(golden, 'model.safetensors'))
const weight = 'model.layers.0.self_attn.q_proj.weight'
const state = `${weight}.quant_state.bitsandbytes__nf4`

interface Stored {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly bytes: Buffer
}
/** The tensors of a safetensors file, byte by byte. */
const storedIn = (bytes: Buffer): ReadonlyMap<string, Stored> => {
  const length = Number(bytes.readBigUInt64LE())
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Readonly<
    Record<
      string,
      { readonly dtype: string; readonly shape: readonly number[]; readonly data_offsets: readonly [number, number] }
    >
  >
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [begin, end],
          },
        ]) => [name, { dtype, shape, bytes: bytes.subarray(8 + length + begin, 8 + length + end) }],
      ),
  )
}
const written = (tensors: ReadonlyMap<string, Stored>): Buffer => {
  let at = 0
  const header = JSON.stringify(
    Object.fromEntries(
      [...tensors].map(([name, { dtype, shape, bytes }]) => {
        at += bytes.length
        return [name, { dtype, shape, data_offsets: [at - bytes.length, at] }]
      }),
    ),
  )
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)))
  return Buffer.concat([length, Buffer.from(header), ...[...tensors.values()].map(({ bytes }) => bytes)])
}
const text = (json: unknown): Stored => {
  const bytes = Buffer.from(JSON.stringify(json))
  return { dtype: 'U8', shape: [bytes.length], bytes }
}

/** The message of opening the golden model with some tensors replaced or, if undefined, missing. */
const refused = (changes: Readonly<Record<string, Stored | undefined>>): Promise<string> =>
  inDirectory(async directory => {
    const tensors = new Map(storedIn(file))
    for (const [name, changed] of Object.entries(changes))
      if (changed) tensors.set(name, changed)
      else tensors.delete(name)
    await put(directory, 'config.json', config)
    await put(directory, 'model.safetensors', written(tensors))
    return (await message(openCheckpoint(directory))).replaceAll(directory, '')
  })
const withState = (changes: Readonly<Record<string, unknown>>): Readonly<Record<string, Stored>> => ({
  [state]: text({ ...(JSON.parse(storedIn(file).get(state)!.bytes.toString()) as object), ...changes }),
})
const zeros = (dtype: string, shape: readonly number[]): Stored => ({
  dtype,
  shape,
  bytes: Buffer.alloc(shape.reduce((n, size) => n * size, dtype === 'U8' ? 1 : 4)),
})

test('a model that transformers saved with bitsandbytes opens, and its weights are bit for bit what bitsandbytes makes of them', async () => {
  const checkpoint = await right(openCheckpoint(golden))
  const expected = await right(openSafetensors(join(golden, 'dequantized.safetensors')))
  assert.equal(expected.tensors.size, 3)
  for (const [name, entry] of expected.tensors) {
    const found = checkpoint.tensors.get(name)!
    const { sizes, data } = await found.read()
    assert.deepEqual([found.dtype, sizes], ['NF4', entry.sizes])
    assert.deepEqual(data, await right(entry.readF32()), name)
    assert.deepEqual(await right(found.readF32()), data)
  }
  assert.equal(checkpoint.tensors.get('model.norm.weight')!.dtype, 'F32')
  assert.match(await right(hashOf(checkpoint)), /^[0-9a-f]{64}$/)
  await Promise.all([checkpoint.close(), expected.close()])
})

test('scales that are not quantized, and a last block that is not whole, are read too', async () => {
  const archive = await right(openSafetensors(join(golden, 'single.safetensors')))
  const tensors = await unpackedTensors('single.safetensors', archive.tensors)
  assert.deepEqual([...tensors.keys()].toSorted(), ['dequantized', 'w'])
  const expected = await right(archive.tensors.get('dequantized')!.readF32())
  const found = await right(tensors.get('w')!.readF32())
  assert.deepEqual(found, expected)
  // packing it again gives the same: whole blocks and the incomplete one have the same scales
  assert.deepEqual(dequantizeNF4(quantizeNF4(found, { double: false }), found.length), expected)
  await archive.close()
})

test('what is wrong with a packed weight is one sentence that names it', async () => {
  const at = `/model.safetensors: tensor ${weight}`
  assert.equal(
    await refused(withState({ shape: [64, 66] })),
    `${at}: it has 2048 bytes: expected 2112 for [64, 66] in 4 bits`,
  )
  assert.equal(
    await refused({ [`${weight}.absmax`]: zeros('U8', [63]) }),
    `${at}: ${weight}.absmax has the sizes [63]: expected 64 scales of blocks`,
  )
  assert.equal(
    await refused({ [`${weight}.nested_absmax`]: zeros('F32', [2]) }),
    `${at}: ${weight}.nested_absmax has the sizes [2]: expected 1 scales of scales`,
  )
  assert.equal(
    await refused({ [`${weight}.nested_quant_map`]: zeros('F32', [16]) }),
    `${at}: ${weight}.nested_quant_map has the sizes [16]: expected 256 numbers`,
  )
  assert.equal(
    await refused(withState({ blocksize: 128 })),
    `${at}: ${weight}.absmax has the sizes [64]: expected 32 scales of blocks`,
  )
  assert.equal(
    await refused(withState({ blocksize: 0 })),
    `${at}: blocksize of its quantization state is 0: expected a block length`,
  )
  assert.equal(
    await refused(withState({ nested_offset: 'x' })),
    `${at}: nested_offset of its quantization state is "x": expected a number`,
  )
  assert.equal(
    await refused(withState({ quant_type: 'fp4' })),
    `${at}: quant_type of its quantization state is "fp4": expected "nf4"`,
  )
  assert.equal(
    await refused(withState({ shape: [-1, 64] })),
    `${at}: shape of its quantization state is [-1,64]: expected a list of sizes`,
  )
  assert.equal(
    await refused({ [state]: { dtype: 'U8', shape: [1], bytes: Buffer.from('{') } }),
    `${at}: its quantization state: it is not valid JSON`,
  )
  assert.equal(
    await refused({ [state]: undefined, [`${weight}.quant_state.bitsandbytes__fp4`]: text({}) }),
    `${at}: it is quantized as fp4: expected nf4`,
  )
  assert.equal(await refused({ [weight]: undefined }), `${at}: it is missing, but its quantization state is there`)
  assert.equal(await refused({ [`${weight}.absmax`]: undefined }), `${at}: absmax is missing beside it`)
  assert.equal(
    await refused({ [`${weight}.quant_map`]: zeros('F32', [16]) }),
    `${at}: its quant_map is not that of nf4`,
  )
  assert.match(
    await refused({ [state]: undefined }),
    /q_proj.weight has the sizes \[2048, 1\], where the config asks for \[64, 64\]/,
  )
})

test('a scale or an offset that is not finite is refused, and the tensor is named', () =>
  inDirectory(async directory => {
    const offset = JSON.stringify({
      ...(JSON.parse(storedIn(file).get(state)!.bytes.toString()) as object),
      nested_offset: 0,
    }).replace('"nested_offset":0', '"nested_offset":1e39')
    assert.equal(
      await refused({ [state]: { dtype: 'U8', shape: [offset.length], bytes: Buffer.from(offset) } }),
      `/model.safetensors: tensor ${weight}: nested_offset of its quantization state is 1e+39: expected a number`,
    )
    const said = async (name: string, ...numbers: readonly number[]) => {
      const tensors = new Map(storedIn(file))
      const old = tensors.get(name)!
      const bytes = Buffer.from(old.bytes)
      for (const [i, x] of numbers.entries()) bytes.writeFloatLE(x, 4 * i)
      await put(directory, 'config.json', config)
      await put(directory, 'model.safetensors', written(tensors.set(name, { ...old, bytes })))
      const checkpoint = await right(openCheckpoint(directory))
      try {
        return await message(checkpoint.tensors.get(weight)!.readF32())
      } finally {
        await checkpoint.close()
      }
    }
    assert.match(
      await said(`${weight}.nested_absmax`, Infinity),
      new RegExp(`model\\.safetensors: tensor ${weight}\\.nested_absmax: it holds Infinity at \\[0\\]: expected`),
    )
  }))

test('a config says which quantization it is, and another is one sentence', () => {
  const said = JSON.parse(config) as { readonly quantization_config: Readonly<Record<string, unknown>> }
  assert.equal('quantization_config' in withoutQuantization(said, 'config.json'), false)
  const wrong = (changes: Readonly<Record<string, unknown>>, expected: RegExp): void =>
    assert.throws(
      () =>
        withoutQuantization(
          { ...said, quantization_config: { ...said.quantization_config, ...changes } },
          'config.json',
        ),
      expected,
    )
  wrong(
    { quant_method: 'gptq' },
    /^Error: config.json: quantization_config.quant_method is "gptq": expected "bitsandbytes"/,
  )
  wrong(
    { load_in_4bit: false, load_in_8bit: true },
    /^Error: config.json: quantization_config.load_in_4bit is false: expected true/,
  )
  wrong(
    { bnb_4bit_quant_type: 'fp4' },
    /^Error: config.json: quantization_config.bnb_4bit_quant_type is "fp4": expected "nf4"/,
  )
  assert.throws(
    () => withoutQuantization({ quantization_config: 3 }, 'config.json'),
    /config.json: quantization_config is not an object/,
  )
})
