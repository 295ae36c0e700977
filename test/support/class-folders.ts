import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { goldenViT } from './images.ts'
import { picture } from './pictures.ts'

/** Classes that a small model learns in a few steps. */
export const threeColours = { red: [200, 40, 40], green: [40, 200, 40], blue: [40, 40, 200] } as const

/** Writes a folder of class folders: `each` PNG files a class, noise around its colour. */
export const drawClasses = async (
  folder: string,
  each: number,
  colours: Readonly<Record<string, readonly [number, number, number]>> = threeColours,
): Promise<string> => {
  let state = 1
  const noise = (): number => (state = (state * 48271) % 2147483647) / 2147483647 - 0.5
  for (const [name, colour] of Object.entries(colours)) {
    await mkdir(join(folder, name), { recursive: true })
    for (let i = 0; i < each; i++) {
      const { data, ...raw } = picture(20, 24, (_y, _x, c) => Math.min(255, Math.max(0, colour[c]! + 120 * noise())))
      const image = sharp(data, { raw: { ...raw, channels: 3 } })
      await image.png().toFile(join(folder, name, `${i}.png`))
    }
  }
  return folder
}

/** The way in which the images of the golden ViT are prepared. */
export const processor = {
  image_processor_type: 'ViTImageProcessor',
  do_resize: true,
  size: { height: 32, width: 32 },
  resample: 2,
  do_rescale: true,
  rescale_factor: 1 / 255,
  do_normalize: true,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.25, 0.25, 0.25],
}

/** Writes a processor into the directory of a model; some of its fields may be others. */
export const withProcessor = async (directory: string, others: object = {}): Promise<string> => {
  await writeFile(join(directory, 'preprocessor_config.json'), JSON.stringify({ ...processor, ...others }))
  return directory
}

/** A directory with the golden ViT and its processor. */
export const preparedViT = async (directory: string, others: object = {}): Promise<string> => {
  await cp(goldenViT, directory, { recursive: true })
  return withProcessor(directory, others)
}
