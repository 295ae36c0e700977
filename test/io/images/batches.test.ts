import assert from 'node:assert/strict'
import { readdir, readFile, readlink } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { permutation, toArray } from '../../../src/tensor/index.ts'
import { augment } from '../../../src/io/images/augment.ts'
import { imageBatches, type ImageBatch, type ImageBatchOptions } from '../../../src/io/images/batches.ts'
import { readImage } from '../../../src/io/images/decode.ts'
import { readLabelled, type LabelledImage } from '../../../src/io/images/labelled.ts'
import { normalized, prepareImage } from '../../../src/io/images/prepare.ts'
import type { Preprocessing } from '../../../src/io/images/preprocessing.ts'
import { inDirectory, put, right } from '../../support/archives.ts'
import { goldenImages } from '../../support/pictures.ts'

const preprocessing: Preprocessing = {
  scaling: { to: 'exact', height: 6, width: 5 },
  resampling: 'bicubic',
  size: { height: 6, width: 5 },
  scale: 1 / 255,
  mean: [0.5, 0.4, 0.3],
  std: [0.5, 0.6, 0.7],
}
const { images } = await right(readLabelled(path.join(goldenImages, 'labels.csv')))

const collected = async (options: ImageBatchOptions, of = images): Promise<readonly ImageBatch[]> => {
  const batches: ImageBatch[] = []
  for await (const batch of imageBatches(of, preprocessing, options)) batches.push(batch)
  return batches
}
const labelsOf = (batches: readonly ImageBatch[]): readonly (readonly number[])[] =>
  batches.map(({ labels }) => toArray(labels))

test('a batch has the numbers of its images and their labels; the last one of an epoch has the rest', async () => {
  const batches = await collected({ size: 7, epochs: 2 })
  assert.equal(batches.length, imageBatches(images, preprocessing, { size: 7, epochs: 2 }).length)
  assert.deepEqual(
    batches.map(({ images: { sizes } }) => sizes[0]),
    [7, 7, 7, 7, 3, 7, 7, 7, 7, 3],
  )
  const one = batches[4]!
  assert.deepEqual(
    [one.images.shape, one.images.sizes],
    [
      ['batch', 6, 5, 3],
      [3, 6, 5, 3],
    ],
  )
  const last = images.slice(28)
  assert.deepEqual(
    toArray(one.labels),
    last.map(({ label }) => label),
  )
  for (const [i, { file }] of last.entries())
    assert.deepEqual(
      one.images.data.subarray(i * 90, (i + 1) * 90),
      prepareImage(await right(readImage(file)), preprocessing),
    )
  assert.deepEqual(await collected({ size: 7 }), batches.slice(0, 5))
  assert.deepEqual(
    labelsOf(await collected({ size: 7, dropLast: true, epochs: 2 })),
    labelsOf(batches.filter((_, i) => i % 5 < 4)),
  )
})

test('the order of an epoch is the permutation of seed and epoch, and random changes follow the key of the image', async () => {
  const changes = { crop: {}, flip: 0.5, jitter: { operations: 2, strength: 0.5 } }
  const batches = await collected({ size: 31, shuffle: 3, epochs: 2, augment: { seed: 5, ...changes } })
  for (const [epoch, batch] of batches.entries()) {
    const order = [...permutation(3, epoch, images.length)]
    assert.deepEqual(
      toArray(batch.labels),
      order.map(index => images[index]!.label),
    )
    for (const [i, index] of order.entries()) {
      const picture = augment(await right(readImage(images[index]!.file)), preprocessing, changes, {
        seed: 5,
        epoch,
        index,
      })
      assert.deepEqual(batch.images.data.subarray(i * 90, (i + 1) * 90), normalized(picture, preprocessing))
    }
  }
})

test('batches do not depend on how many are decoded ahead, and reading them again gives the same ones', async () => {
  const options = { size: 4, shuffle: 1, augment: { seed: 2, crop: {}, flip: 0.5 } }
  const expected = await collected(options)
  for (const ahead of [1, 3, 50]) assert.deepEqual(await collected({ ...options, ahead }), expected)
  const again = imageBatches(images, preprocessing, options)
  for (let pass = 0; pass < 2; pass++) {
    const first: ImageBatch[] = []
    for await (const batch of again) if (first.push(batch) === 2) break
    assert.deepEqual(first, expected.slice(0, 2))
  }
})

/** The golden images with a broken one in third place, and its path. */
const withBroken = (use: (all: readonly LabelledImage[], broken: string) => Promise<void>): Promise<void> =>
  inDirectory(async folder => {
    const bytes = await readFile(path.join(goldenImages, 'jpeg.jpg'))
    const broken = await put(folder, 'broken.jpg', bytes.subarray(0, 1000))
    await use([...images.slice(0, 2), { file: broken, label: 2 }, ...images.slice(2)], broken)
  })

test('a broken image ends the loop with its name, unless broken images are skipped: then the next one takes its place', async () => {
  await withBroken(async (all, broken) => {
    const name = new RegExp(`^${broken}: the image is broken: `)
    await assert.rejects(collected({ size: 4 }, all), error => error instanceof Error && name.test(error.message))
    const reports: string[] = []
    const skipping = {
      skipBroken: true,
      onBroken: ({ message }: { readonly message: string }) => void reports.push(message),
    }
    assert.deepEqual(await collected({ size: 4, epochs: 2, ...skipping }, all), await collected({ size: 4, epochs: 2 }))
    assert.equal(reports.length, 2)
    for (const report of reports) assert.match(report, name)
    await assert.rejects(collected({ size: 4, ...skipping }, [{ file: broken, label: 0 }]), /all 1 images are broken$/)
  })
})

/** The open files of this process below a folder, if the system lists them. */
const openBelow = async (folder: string): Promise<readonly string[]> => {
  const ids = await readdir('/proc/self/fd').catch(() => [])
  const files = await Promise.all(ids.map(id => readlink(`/proc/self/fd/${id}`).catch(() => '')))
  return files.filter(file => file.startsWith(folder))
}

test('a loop that is left early, or ended by a signal, leaves no file open', async () => {
  for await (const _ of imageBatches(images, preprocessing, { size: 4, ahead: 8 })) break
  assert.deepEqual(await openBelow(goldenImages), [])
  const controller = new AbortController()
  let batches = 0
  await assert.rejects(
    async () => {
      for await (const _ of imageBatches(images, preprocessing, { size: 4, signal: controller.signal })) {
        batches++
        if (batches === 2) controller.abort()
      }
    },
    { code: 'ABORT_ERR', message: 'interrupted' },
  )
  assert.equal(batches, 2)
  await assert.rejects(collected({ size: 4, signal: AbortSignal.abort() }), { code: 'ABORT_ERR' })
  assert.deepEqual(await openBelow(goldenImages), [])
})

for (const [options, sentence] of [
  [{ size: 0 }, 'imageBatches: size is 0: it is a whole number, at least 1'],
  [{ size: 1, epochs: 0.5 }, 'imageBatches: epochs is 0.5: it is a whole number, at least 1'],
  [{ size: 1, after: -1 }, 'imageBatches: after is -1: it is a whole number, at least 0'],
  [{ size: 1, shuffle: 0.5 }, 'imageBatches: shuffle is 0.5: it is a seed, a whole number'],
  [{ size: 40, dropLast: true }, 'imageBatches: there is no batch: 31 images, and the size 40'],
  [{ size: 1, augment: { seed: 0, flip: 2 } }, 'augment: flip is 2: expected a probability'],
  [
    { size: 1, augment: { seed: 0, crop: { area: [0, 1] } } },
    'augment: crop.area is [0,1]: expected two parts of the image, above 0 and at most 1',
  ],
  [
    { size: 1, augment: { seed: 0, crop: { ratio: [2, 1] } } },
    'augment: crop.ratio is [2,1]: expected two ratios of width and height, above 0',
  ],
  [
    { size: 1, augment: { seed: 0, jitter: { operations: 2, strength: 9 } } },
    'augment: jitter.strength is 9: expected a number from 0 to 1',
  ],
] as const)
  test(`${JSON.stringify(options)} is refused`, () => {
    assert.throws(() => imageBatches(images, preprocessing, options), new RangeError(sentence))
  })
