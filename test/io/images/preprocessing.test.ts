import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import { readPreprocessing } from '../../../src/io/images/read-preprocessing.ts'
import { timmPreprocessing } from '../../../src/io/images/timm-transform.ts'
import { transformersPreprocessing } from '../../../src/io/images/transformers-processor.ts'
import { inDirectory, message, put, right } from '../../support/archives.ts'

const half = [0.5, 0.5, 0.5]

test('a preprocessor_config.json of ViT is read with the defaults of ViTImageProcessor', () => {
  const plain = { scale: 1 / 255, mean: half, std: half, resampling: 'bilinear' }
  for (const [json, expected] of [
    [{}, { ...plain, scaling: { to: 'exact', height: 224, width: 224 }, size: { height: 224, width: 224 } }],
    // as google/vit-base-patch16-224 and its older form have it
    [
      {
        do_normalize: true,
        do_rescale: true,
        do_resize: true,
        image_mean: half,
        image_processor_type: 'ViTImageProcessor',
        image_std: half,
        resample: 3,
        rescale_factor: 0.00392156862745098,
        size: { height: 20, width: 30 },
      },
      {
        ...plain,
        resampling: 'bicubic',
        scaling: { to: 'exact', height: 20, width: 30 },
        size: { height: 20, width: 30 },
      },
    ],
    [
      {
        feature_extractor_type: 'ViTFeatureExtractor',
        size: 32,
        do_rescale: false,
        do_normalize: false,
        do_pad: false,
      },
      {
        scale: 1,
        mean: [0, 0, 0],
        std: [1, 1, 1],
        resampling: 'bilinear',
        scaling: { to: 'exact', height: 32, width: 32 },
        size: { height: 32, width: 32 },
      },
    ],
  ] as const)
    assert.deepEqual(transformersPreprocessing('p.json', json), E.right(expected))
})

for (const [json, sentence] of [
  [
    { image_processor_type: 'CLIPImageProcessor' },
    '"CLIPImageProcessor": expected "ViTImageProcessor" or "ViTImageProcessorFast" or "ViTImageProcessorPil"',
  ],
  [{ do_center_crop: true }, 'true: expected false'],
  [{ do_flip_channel_order: true }, 'true: expected false'],
  [{ do_resize: false }, 'false: expected true'],
  [{ do_rescale: 'yes' }, '"yes": expected true or false'],
  [
    { size: { shortest_edge: 224 } },
    '{"shortest_edge":224}: expected a number, or an object with "height" and "width"',
  ],
  [{ size: 0 }, '0: expected an integer from 1 to 16384'],
  [{ resample: 6 }, '6: expected a number from 0 to 5'],
  [{ resample: 1.5 }, '1.5: expected the number of a filter of Pillow'],
  [{ rescale_factor: 'x' }, '"x": expected a number from 0 to 1'],
  [{ image_mean: [0.5] }, '[0.5]: expected three numbers, for red, green and blue'],
  [{ image_std: [0.5, 0, 0.5] }, '[0.5,0,0.5]: expected three numbers, for red, green and blue'],
] as const)
  test(`transformers' ${JSON.stringify(json)} is refused by name`, () => {
    const found = transformersPreprocessing('p.json', json)
    assert.ok(E.isLeft(found))
    assert.equal(found.left.message, `p.json: ${Object.keys(json)[0]} is ${sentence}`)
  })

test('a config.json of timm is read with the defaults of timm', () => {
  const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], scale: 1 / 255 }
  for (const [json, expected] of [
    [
      { architecture: 'x', pretrained_cfg: {} },
      { ...imagenet, resampling: 'bicubic', scaling: { to: 'shorter', side: 256 }, size: { height: 224, width: 224 } },
    ],
    [
      {
        pretrained_cfg: {
          input_size: [3, 384, 384],
          test_input_size: [3, 480, 480],
          crop_pct: 1,
          crop_mode: 'squash',
          interpolation: 'bilinear',
          mean: half,
          std: half,
        },
      },
      {
        mean: half,
        std: half,
        scale: 1 / 255,
        resampling: 'bilinear',
        scaling: { to: 'exact', height: 384, width: 384 },
        size: { height: 384, width: 384 },
      },
    ],
    [
      { architecture: 'older', input_size: [3, 20, 30], crop_pct: 0.9 },
      {
        ...imagenet,
        resampling: 'bicubic',
        scaling: { to: 'cover', height: 22, width: 33 },
        size: { height: 20, width: 30 },
      },
    ],
  ] as const)
    assert.deepEqual(timmPreprocessing('config.json', json), E.right(expected))
})

for (const [json, sentence] of [
  [{ crop_mode: 'border' }, '"border": expected "center" or "squash"'],
  [
    { interpolation: 'random' },
    '"random": expected "nearest" or "bilinear" or "bicubic" or "box" or "hamming" or "lanczos"',
  ],
  [{ crop_pct: 1.2 }, '1.2: expected a number from 0.01 to 1'],
  [{ crop_border_pixels: 4 }, '4: expected 0'],
  [{ input_size: [1, 28, 28] }, '[1,28,28]: expected three channels, a height and a width, as [3, 224, 224]'],
  [{ mean: [0.5, null, 1] }, '[0.5,null,1]: expected three numbers, for red, green and blue'],
] as const)
  test(`timm's ${JSON.stringify(json)} is refused by name`, () => {
    const found = timmPreprocessing('config.json', { pretrained_cfg: json })
    assert.ok(E.isLeft(found))
    assert.equal(found.left.message, `config.json: pretrained_cfg.${Object.keys(json)[0]} is ${sentence}`)
  })

test('a folder has the one or the other; without both, one sentence says so', async () => {
  await inDirectory(async folder => {
    const config = path.join(folder, 'config.json')
    const processor = path.join(folder, 'preprocessor_config.json')
    assert.equal(await message(readPreprocessing(folder)), `${config}: no such file or directory`)
    await put(folder, 'config.json', '{"model_type": "vit"}')
    assert.equal(
      await message(readPreprocessing(folder)),
      `${processor}: there is no such file, and ${config} does not say how images are prepared`,
    )
    await put(folder, 'config.json', '{"pretrained_cfg": {"input_size": [3, 40, 40]}}')
    assert.deepEqual((await right(readPreprocessing(folder))).size, { height: 40, width: 40 })
    await put(folder, 'preprocessor_config.json', '{"size": 50}')
    assert.deepEqual((await right(readPreprocessing(folder))).size, { height: 50, width: 50 })
    await put(folder, 'preprocessor_config.json', '{"do_pad": true}')
    assert.equal(await message(readPreprocessing(folder)), `${processor}: do_pad is true: expected false`)
  })
})
