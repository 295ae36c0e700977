import { join } from 'node:path'
import { orThrow } from '../../src/text/index.ts'
import { openSafetensors } from '../../src/io.ts'
import { load } from '../../src/io/checkpoint/load.ts'
import { full, trainStep, adapt, type Shape, type Value, type Values } from '../../src/index.ts'
import { identity, tensorsOf } from '../../src/compiler.ts'
import type { ImageBatch, ImageModel } from '../../src/model.ts'

/** The tiny vision transformer that make.py makes, and what PyTorch computes of it. */
export const goldenViT = join(import.meta.dirname, '../golden/vit-tiny')

export interface Numbers {
  readonly sizes: readonly number[]
  readonly data: Float32Array
}

/** The tensors of a file, as float32. */
export const readTensors = async (file: string): Promise<ReadonlyMap<string, Numbers>> => {
  const archive = await orThrow(openSafetensors(file))
  try {
    return new Map(
      await Promise.all(
        [...archive.tensors].map(async ([name, entry]) => {
          const { sizes, data } = await entry.read()
          return [name, { sizes, data: Float32Array.from(data) }] as const
        }),
      ),
    )
  } finally {
    await archive.close()
  }
}

/** Images [batch, channels, height, width] as [batch, height, width, channels]. */
export const channelsLast = ({ sizes, data }: Numbers): Numbers => {
  const [batch = 0, channels = 0, height = 0, width = 0] = sizes
  const turned = Float32Array.from(data, (_, at) => {
    const channel = at % channels
    const place = Math.floor(at / channels) % (height * width)
    const image = Math.floor(at / (channels * height * width))
    return data[(image * channels + channel) * height * width + place]!
  })
  return { sizes: [batch, height, width, channels], data: turned }
}

/** The golden images and labels as a batch of a model. */
export const batchOf = (
  { batch }: Pick<ImageModel, 'batch'>,
  tensors: ReadonlyMap<string, Numbers>,
): Values<ImageBatch> => {
  const images = channelsLast(tensors.get('pixel_values')!)
  const labels = Int32Array.from(tensors.get('labels')!.data)
  return {
    images: { shape: batch.images.shape, ...images, dtype: 'f32' },
    labels: { shape: ['batch'], sizes: [labels.length], dtype: 'i32', data: labels },
  }
}

/** The golden model with a step that trains everything and changes nothing, and its numbers. */
export const openViT = async () => {
  const loaded = await orThrow(load(goldenViT, 'images'))
  const { model } = loaded
  const tensors = await readTensors(join(goldenViT, 'reference.safetensors'))
  const all = tensorsOf(model.params).map(([path]) => path) as readonly string[]
  return {
    loaded,
    tensors,
    batch: batchOf(model, tensors),
    step: trainStep(adapt(model, full({ targets: all })), identity),
  }
}

/** The largest difference of numbers. */
export const farthest = (found: ArrayLike<number>, due: ArrayLike<number>): number =>
  found.length === due.length
    ? Array.from(due).reduce((most, x, i) => Math.max(most, Math.abs(x - found[i]!)), 0)
    : Infinity

export const isFloats = (leaf: unknown): leaf is Value<Shape> =>
  typeof leaf === 'object' && leaf !== null && 'dtype' in leaf && leaf.dtype === 'f32'
