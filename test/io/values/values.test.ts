import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as E from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import { loadValues, openSafetensors, savedMetadata, saveValues } from '../../../src/io/index.ts'
import { f32, i32, placeholder, tensor, toArray, type Value } from '../../../src/tensor/index.ts'
import type { AnyValue } from '../../../src/tune/index.ts'
import { inDirectory, right } from '../../support/archives.ts'
import type { Equal } from '../../support/expect-type.ts'
import { findPython } from '../../support/python.ts'

const golden = fileURLToPath(new URL('../../golden/values/torch.safetensors', import.meta.url))
const rejects = (promise: Promise<unknown>, text: string): Promise<void> =>
  assert.rejects(promise, error => {
    assert.ok(error instanceof Error)
    assert.equal(error.message, text)
    return true
  })

const half = (dtype: 'bf16' | 'f16'): AnyValue => ({
  shape: ['n'],
  sizes: [2],
  dtype,
  data: Uint16Array.of(0x3f80, 0x4000),
})
const tree = {
  layers: [
    {
      up: tensor(
        [
          [1, 2],
          [3, 4],
        ],
        ['in', 'out'],
      ),
    },
    {
      up: tensor(
        [
          [5, 6],
          [7, -0],
        ],
        ['in', 'out'],
      ),
    },
  ],
  ids: tensor(Int32Array.of(-1, 2 ** 31 - 1), ['n']),
  mask: tensor([true, false, true], [3]),
  halves: { bf16: half('bf16'), f16: half('f16') },
  scale: tensor(0.5),
}

test('a tree is loaded as it was saved, with names, types and structure', () =>
  inDirectory(async directory => {
    const file = join(directory, 'new', 'tree.safetensors')
    await saveValues(file, tree)
    assert.deepEqual(await loadValues(file), tree)
    assert.deepEqual(await loadValues(file, tree), tree)
    assert.deepEqual(await readdir(join(directory, 'new')), ['tree.safetensors'])
  }))

const anyValue: fc.Arbitrary<AnyValue> = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }).chain(sizes => {
  const n = sizes.reduce((product, size) => product * size, 1)
  const array = <A>(of: fc.Arbitrary<A>) => fc.array(of, { minLength: n, maxLength: n })
  const shape = sizes.map(size => `n${size}`)
  const words = fc.nat(65535).map(word => word & 0x3bff)
  return fc.oneof(
    array(fc.float({ noNaN: true, noDefaultInfinity: true })).map((xs): AnyValue => ({
      shape,
      sizes,
      dtype: 'f32',
      data: Float32Array.from(xs),
    })),
    array(fc.integer()).map((xs): AnyValue => ({ shape, sizes, dtype: 'i32', data: Int32Array.from(xs) })),
    array(fc.nat(1)).map((xs): AnyValue => ({ shape, sizes, dtype: 'bool', data: Uint8Array.from(xs) })),
    array(words).map((xs): AnyValue => ({ shape, sizes, dtype: 'bf16', data: Uint16Array.from(xs) })),
    array(words).map((xs): AnyValue => ({ shape, sizes, dtype: 'f16', data: Uint16Array.from(xs) })),
  )
})

test('any tree is loaded as it was saved', () =>
  inDirectory(async directory => {
    const file = join(directory, 'a.safetensors')
    const keys = fc.stringMatching(/^[a-zA-Z_ü-]{1,8}$/)
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(
          keys,
          fc.oneof(
            anyValue,
            fc.dictionary(keys, anyValue, { minKeys: 1, noNullPrototype: true }),
            fc.array(anyValue, { minLength: 1, maxLength: 12 }),
          ),
          { minKeys: 1, noNullPrototype: true },
        ),
        async data => {
          const plain = { ...data }
          await saveValues(file, plain)
          assert.deepEqual(await loadValues(file), plain)
          assert.deepEqual(await loadValues(file, plain), plain)
        },
      ),
      { numRuns: 40 },
    )
  }))

test('a declared tree gives the types, and 16-bit numbers become the f32 that is declared', () =>
  inDirectory(async directory => {
    const file = join(directory, 'a.safetensors')
    await saveValues(file, {
      w: tensor([[1, 2]], ['in', 'out']),
      half: half('bf16'),
      ids: tensor(Int32Array.of(3), ['n']),
    })
    await rejects(
      loadValues(file, { w: f32('in', 'out'), half: f32('m'), ids: i32('n') }),
      `${file}: half is [n], and [m] is declared`,
    )
    const loaded = await loadValues(file, { w: f32('in', 'out'), half: f32(2), ids: i32('n') })
    assert.ok(true satisfies Equal<typeof loaded.w, Value<readonly ['in', 'out'], 'f32'>>)
    assert.deepEqual(loaded.half, { shape: [2], sizes: [2], dtype: 'f32', data: Float32Array.of(1, 2) })
  }))

test('metadata is kept beside names and versions', () =>
  inDirectory(async directory => {
    const file = join(directory, 'a.safetensors')
    await saveValues(file, { w: tensor([1], ['n']) }, { metadata: { epoch: '3' } })
    assert.deepEqual(await savedMetadata(file), { epoch: '3' })
    const archive = await right(openSafetensors(file))
    await archive.close()
    assert.deepEqual(JSON.parse(String(archive.metadata.get('partensor.dims'))), { w: ['n'] })
    assert.equal(typeof JSON.parse(String(archive.metadata.get('partensor.versions'))).partensor, 'string')
    await rejects(
      saveValues(file, { w: tensor(1) }, { metadata: { 'partensor.x': '' } }),
      `${file}: the metadata partensor.x is Partensor's own: choose another name`,
    )
  }))

test('an earlier file is replaced as a whole, through a link too, and kept if saving fails', () =>
  inDirectory(async directory => {
    const file = join(directory, 'a.safetensors')
    const link = join(directory, 'link.safetensors')
    await saveValues(file, { w: tensor([1], ['n']) })
    await symlink(file, link)
    await saveValues(link, { w: tensor([2], ['n']) })
    const before = await readFile(file)
    assert.deepEqual(await loadValues(file), { w: tensor([2], ['n']) })
    await rejects(
      saveValues(file, { v: tensor([1, 2], ['n']), w: tensor([1, NaN], ['n']) }),
      'tensor w: it holds NaN at [1]: expected a finite number',
    )
    assert.deepEqual(await readFile(file), before)
    assert.deepEqual((await readdir(directory)).sort(), ['a.safetensors', 'link.safetensors'])
    await mkdir(join(directory, 'folder'))
    await assert.rejects(
      saveValues(join(directory, 'folder'), { w: tensor(1) }),
      /folder: (it is a directory|something else is there already)/,
    )
  }))

test('what is no tree of values is refused with its path', () =>
  inDirectory(async directory => {
    const file = join(directory, 'a.safetensors')
    const wrong = (data: unknown): Promise<void> => saveValues(file, data as AnyValue)
    await rejects(wrong(tensor(1)), `${file}: a single value has no name: save a record, such as { weight: value }`)
    await rejects(wrong({ a: { lr: 0.1 } }), `${file}: a.lr is 0.1, and neither a value nor a tree of values`)
    await rejects(wrong({ a: undefined }), `${file}: a is missing, and neither a value nor a tree of values`)
    await rejects(
      wrong({ a: new Float32Array(2) }),
      `${file}: a is a typed array, and neither a value nor a tree of values`,
    )
    await rejects(wrong({ 'a.b': tensor(1), 'a': { b: tensor(2) } }), 'tensor a.b: a file holds every name once')
    await rejects(
      wrong({ a: { ...tensor([1, 2], ['n']), sizes: [3] } }),
      'tensor a: 2 elements of f32 were read, expected f32 [3]',
    )
    assert.deepEqual(await readdir(directory), [])
  }))

test('a file that differs from the declared tree is refused in one sentence', () =>
  inDirectory(async directory => {
    const file = join(directory, 'a.safetensors')
    await saveValues(file, {
      up: tensor([[1, 2]], ['in', 'out']),
      down: tensor([[1], [2]], ['out', 'in']),
      mask: tensor([true], ['in']),
    })
    const [up, down, mask] = [f32('in', 'out'), f32('out', 'in'), placeholder(['in'], 'bool')]
    for (const [like, text] of [
      [{ up, down, mask, bias: f32('out') }, `${file}: there is no bias`],
      [{ up, down }, `${file}: it holds mask, which is not declared`],
      [{ up, down, mask: f32('in') }, `${file}: mask is BOOL, and f32 is declared`],
      [{ up: i32('in', 'out'), down, mask }, `${file}: up is F32, and i32 is declared`],
      [{ up: f32('out', 'in'), down, mask }, `${file}: up is [in, out], and [out, in] is declared`],
      [{ up: f32('in'), down, mask }, `${file}: up is [in, out], and [in] is declared`],
      [{ up: f32('in', 3), down, mask }, `${file}: 3 is 3 in the shape but 2 in up`],
    ] as const)
      await rejects(loadValues(file, like), text)
    await rejects(loadValues(join(directory, 'none')), `${join(directory, 'none')}: no such file or directory`)
    await writeFile(file, 'not a safetensors file')
    await assert.rejects(loadValues(file), /a.safetensors: the header claims/)
  }))

test('a value and values below it in one file need a declared tree', () =>
  inDirectory(async directory => {
    const file = join(directory, 'a.safetensors')
    await saveValues(file, { 'a': tensor(1), 'a.b': tensor(2) })
    await rejects(loadValues(file), `${file}: a is a tensor, and others lie below it: declare the tree to load`)
    const loaded = await loadValues(file, { 'a': f32(), 'a.b': f32() })
    assert.ok(true satisfies Equal<(typeof loaded)['a.b'], Value<readonly [], 'f32'>>)
    assert.equal(toArray(loaded['a.b']), 2)
  }))

test('a file of PyTorch is read: nested, with sizes for names, or as it is declared', async () => {
  const all = await loadValues(golden)
  assert.deepEqual(all, {
    layers: [
      {
        up: tensor(
          [
            [-0.5, -0.25, 0],
            [0.25, 0.5, 0.75],
          ],
          [2, 3],
        ),
      },
      {
        up: tensor(
          [
            [0, 0.125, 0.25],
            [0.375, 0.5, 0.625],
          ],
          [2, 3],
        ),
      },
    ],
    half: {
      bf16: { shape: [3], sizes: [3], dtype: 'bf16', data: Uint16Array.of(0x3f80, 0xc020, 0x4049) },
      f16: { shape: [3], sizes: [3], dtype: 'f16', data: Uint16Array.of(0x3c00, 0xc100, 0x2e66) },
    },
    ids: tensor(
      [
        [1, -2],
        [3, 2 ** 31 - 1],
      ],
      [2, 2],
      { dtype: 'i32' },
    ),
    long: tensor([5, -6], [2], { dtype: 'i32' }),
    mask: tensor([true, false, true], [3]),
    scale: tensor(0.125),
  })
  const layer = { up: f32('in', 'out') }
  const loaded = await loadValues(golden, {
    layers: [layer, { up: f32('in', 'out') }],
    half: { bf16: f32('n'), f16: f32('n') },
    ids: i32('in', 2),
    long: i32('in'),
    mask: placeholder(['n'], 'bool'),
    scale: f32(),
  })
  assert.deepEqual(toArray(loaded.half.bf16), [1, -2.5, 3.140625])
  assert.deepEqual(loaded.layers[1]!.up.shape, ['in', 'out'])
})

test('PyTorch reads our file', async context => {
  const python = await findPython()
  if (E.isLeft(python)) return assert.fail(python.left)
  if (python.right === undefined) return context.skip('no Python with torch')
  await inDirectory(async directory => {
    const file = join(directory, 'a.safetensors')
    await saveValues(file, tree)
    const script = `
import json, sys
from safetensors.torch import load_file
print(json.dumps({k: [str(v.dtype), v.tolist()] for k, v in load_file(sys.argv[1]).items()}, sort_keys=True))`
    const { stdout } = await promisify(execFile)(python.right!, ['-c', script, file])
    assert.deepEqual(JSON.parse(stdout), {
      'halves.bf16': ['torch.bfloat16', [1, 2]],
      'halves.f16': ['torch.float16', [1.875, 2]],
      'ids': ['torch.int32', [-1, 2 ** 31 - 1]],
      'layers.0.up': [
        'torch.float32',
        [
          [1, 2],
          [3, 4],
        ],
      ],
      'layers.1.up': [
        'torch.float32',
        [
          [5, 6],
          [7, -0],
        ],
      ],
      'mask': ['torch.bool', [true, false, true]],
      'scale': ['torch.float32', 0.5],
    })
  })
})
