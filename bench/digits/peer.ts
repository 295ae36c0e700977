import * as E from 'fp-ts/lib/Either.js'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Span } from '../measurement.ts'
import { installPyTorch, installVision } from '../peers/python.ts'
import type { DigitsMethod } from './settings.ts'

const script = fileURLToPath(new URL('../peers/digits.py', import.meta.url))

/** The request to `digits.py`. */
export interface PeerStep {
  /** A directory that transformers or timm loads. */
  readonly directory: string
  readonly method: DigitsMethod
  readonly targets: readonly string[]
  readonly rank: number
  /** A batch as safetensors, with channels last. */
  readonly file: string
  readonly learningRate: number
  readonly weightDecay: number
  readonly span: Span
}
/** PyTorch with PEFT, transformers and timm. */
export interface DigitsPeer {
  /** Writes the pretrained EfficientNet-Lite0 into a directory, for images of a size. */
  readonly lite0: (directory: string, side: number) => Promise<void>
  /** The command whose last line of output is a measurement of steps. */
  readonly step: (options: PeerStep) => readonly string[]
}

/** Installs the peer, unless it is there. @returns Left with the reason where that is not possible here */
export const digitsPeer = async (say: (text: string) => void): Promise<E.Either<string, DigitsPeer>> => {
  const python = await installPyTorch(say)
  if (E.isLeft(python)) return python
  const packages = await installVision(python.right, say)
  return E.map((folder: string): DigitsPeer => {
    const command = (...args: readonly string[]): readonly string[] => [
      '/usr/bin/env',
      `PYTHONPATH=${folder}`,
      python.right,
      script,
      ...args,
    ]
    return {
      lite0: async (directory, side) => {
        const [program, ...args] = command('lite0', directory, String(side))
        await promisify(execFile)(program!, args)
      },
      step: options => command('step', JSON.stringify(options)),
    }
  })(packages)
}
