import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, stat, statfs, writeFile } from 'node:fs/promises'
import path from 'node:path'
import * as TE from 'fp-ts/lib/TaskEither.js'
import {
  addonFile,
  buildFolder,
  buildRevision,
  inspectBuild,
  logFile,
  manifestFile,
  nativeFolder,
  tensorflowVersion,
  type NativeBuild,
  type TensorflowPackage,
} from '../builds.ts'
import { cacheDirectory, sweep, temporaryFolder, pipDownload } from '../../../host/index.ts'
import { attempt, bytesText, ioError, refusal, type IoError } from '../../../text/index.ts'
import { logSource } from './log.ts'
import {
  copyScripts,
  cudaRequirements,
  fetchSources,
  libraries,
  unpackWheel,
  wheelOf,
  type Sources,
} from './sources.ts'
import { findTools, must, saysFull, type Tools } from './tools.ts'

/** The choice of what to install, and where. */
export interface NativeInstallOptions {
  /** Installs TensorFlow with CUDA. */
  readonly gpu?: boolean
  /** A local wheel of tensorflow or tensorflow-cpu, of any version. */
  readonly wheel?: string
  readonly cache?: string
  /** Receives a line whenever a stage begins. */
  readonly onProgress?: (line: string) => void
  /** The free bytes on the file system of a directory. */
  readonly freeBytes?: (directory: string) => Promise<number>
  /** Loads the addons of a build in a child process and computes with them. Throws if that fails. */
  readonly loadTest?: (build: string) => Promise<void>
}

/** An installed build. `cuda` is the command that adds CUDA's libraries to it. */
export interface NativeInstalled extends NativeBuild {
  readonly built: boolean
  readonly cuda: string | undefined
}

/**
 * The disk space that an installation needs while it runs, including the wheel and unstripped libraries; measured with
 * 2.18.1: 0.92 and 2.4 GB.
 */
const bytesNeeded: { readonly [name in TensorflowPackage]: number } = { 'tensorflow-cpu': 1.2e9, 'tensorflow': 3e9 }

const freeBytesAt = async (directory: string): Promise<number> => {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}

const fullDisk = (folder: string, needed: number, free?: number): string =>
  `the disk of ${folder} ${free === undefined ? 'is full' : `has ${bytesText(free, 'down')} free`}, and native install needs ${bytesText(needed, 'up')}: ` +
  'make room, or set PARTENSOR_CACHE to a directory on another disk'

/** A script that computes the square of 3 with TensorFlow itself, without log output. */
const squares = `require(process.argv[2])(3)
const t = require(process.argv[1]), of = t.createTensor([1], t.TF_FLOAT, Float32Array.of(3))
const [out] = t.executeOp('Square', [{ name: 'T', type: t.TF_ATTR_TYPE, value: t.TF_FLOAT }], [of], 1)
if (t.tensorDataSync(out.id)[0] !== 9) throw new Error('it computes wrongly')`
const loadInChild = async (build: string): Promise<void> => {
  const addons = [addonFile, logFile].map(file => path.join(build, file))
  const env = { ...process.env, NODE_OPTIONS: '', TF_CPP_MIN_LOG_LEVEL: '3' }
  await must('load what was built', process.execPath, ['-e', squares, ...addons], { env })
}

const writeManifest = async (folder: string): Promise<void> => {
  const files: Record<string, number> = {}
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    const status = await stat(path.join(folder, name))
    if (status.isFile()) files[name] = status.size
  }
  await writeFile(
    path.join(folder, manifestFile),
    `${JSON.stringify({ revision: buildRevision, files }, undefined, 2)}\n`,
  )
}

const compileAddons = async (
  { compiler, strip }: Tools,
  sources: Sources,
  work: string,
  build: string,
): Promise<void> => {
  const from = (...of: readonly string[]): string => path.join(work, ...of)
  const compile = (addon: string, files: readonly string[]): Promise<string> =>
    must(
      "build tfjs-node's addon",
      compiler,
      [
        '-std=c++17',
        '-O2',
        '-fPIC',
        '-shared',
        '-DNAPI_VERSION=8',
        `-I${sources.include}`,
        `-I${from('tensorflow', 'include')}`,
        // TensorFlow looks for CUDA's libraries in ../nvidia, relative to its own
        ...files,
        '-o',
        path.join(build, addon),
        '-Wl,-rpath,$ORIGIN/tensorflow',
        '-Wl,-z,noexecstack',
        // a worker thread that ends unloads its addons, and threads of TensorFlow's that remain call them
        '-Wl,-z,nodelete',
      ],
      { cwd: work },
    )
  await writeFile(from('log.cc'), logSource)
  await compile(logFile, [from('log.cc')])
  await compile(addonFile, [
    ...['tfjs_backend.cc', 'tfjs_binding.cc'].map(file => path.join(sources.binding, file)),
    ...libraries.map(file => from(file)),
  ])
  await mkdir(path.join(build, 'tensorflow'))
  for (const file of libraries) {
    if (strip) await must('strip TensorFlow', 'strip', ['-s', from(file)], { cwd: work })
    await rename(from(file), path.join(build, file))
  }
}

/**
 * Replaces a build. Processes that have loaded the old one keep its files; the libraries of CUDA's wheels next to it
 * stay.
 */
const replace = async (folder: string, build: string, old: string): Promise<void> => {
  if (existsSync(folder)) {
    const cuda = (await readdir(folder)).filter(name => name.startsWith('nvidia'))
    await rename(folder, old)
    await rename(build, folder)
    for (const name of cuda) await rename(path.join(old, name), path.join(folder, name))
  } else await rename(build, folder)
}

/** The tags of the wheel. The parts that the addon needs do not depend on Python, so any version of Python will do. */
const tags = [
  '--python-version',
  '3.11',
  ...['manylinux_2_27_x86_64', 'manylinux_2_17_x86_64', 'manylinux2014_x86_64'].flatMap(tag => ['--platform', tag]),
]

const install = async (options: NativeInstallOptions): Promise<NativeInstalled> => {
  const {
    cache = cacheDirectory(),
    gpu = false,
    wheel,
    onProgress: say = () => undefined,
    freeBytes = freeBytesAt,
    loadTest = loadInChild,
  } = options
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw refusal(
      `native install is for Linux on x64, and this is ${process.platform} on ${process.arch}: install @tensorflow/tfjs-node instead`,
    )
  }
  if (wheel !== undefined && !existsSync(wheel)) throw refusal(`${wheel}: no such file or directory`)
  const { name, version } =
    wheel === undefined
      ? ({ name: gpu ? 'tensorflow' : 'tensorflow-cpu', version: tensorflowVersion } as const)
      : wheelOf(wheel)
  if (gpu && name !== 'tensorflow')
    throw refusal(`${wheel}: --gpu needs a wheel of tensorflow, which has CUDA, and this is one of ${name}`)
  const folder = buildFolder(cache, name, version)
  const there = inspectBuild(folder, name, version)
  if (there.problem === undefined && !there.outdated) return { ...there, built: false, cuda: undefined }
  if (existsSync(folder))
    say(`${folder}: ${there.problem ?? 'another version of Partensor has made it'}; it is built anew`)
  const tools = await findTools({ pip: wheel === undefined })
  const native = nativeFolder(cache)
  const needed = bytesNeeded[name]
  await mkdir(native, { recursive: true })
  await sweep(native)
  const free = await freeBytes(native)
  if (free < needed) throw refusal(fullDisk(native, needed, free))
  await using folderOfWork = await temporaryFolder(native)
  const work = folderOfWork.path
  // pip unpacks into TMPDIR; npm's packages must not mix with those of a surrounding project
  const env = { ...process.env, TMPDIR: work }
  const build = path.join(work, 'build')
  const wheels = path.join(work, 'wheel')
  await mkdir(build)
  await mkdir(wheels)
  say(wheel === undefined ? `downloading ${name} ${version} by pip` : `reading ${wheel}`)
  const file = wheel ?? (await pipDownload(`${name}==${version}`, wheels, tags, { env }))
  say('fetching tfjs-node by npm')
  const sources = await fetchSources(work, env)
  say(`unpacking TensorFlow ${version}`)
  await unpackWheel(file, work)
  const cuda = name === 'tensorflow' ? await cudaRequirements(file, version) : []
  await rm(wheels, { recursive: true, force: true })
  say(`building tfjs-node's addon by ${tools.compiler}`)
  await compileAddons(tools, sources, work, build)
  await copyScripts(sources, build)
  say('loading it')
  await loadTest(build)
  await writeManifest(build)
  await replace(folder, build, path.join(work, 'old'))
  return {
    ...inspectBuild(folder, name, version),
    built: true,
    cuda: cuda.length === 0 ? undefined : `python3 -m pip install --no-deps --target ${folder} ${cuda.join(' ')}`,
  }
}

/**
 * Builds tfjs-node's addon with plain g++ against the TensorFlow of a Python wheel, inside the cache only: in a
 * temporary folder, tested in a child process, then renamed, so that it is complete or absent. An incomplete earlier
 * attempt is replaced. Only TensorFlow's libraries are taken from the wheel, so no Python runs afterwards. The build
 * takes some 0.5 GB, or 1 GB with `gpu`. Errors: another system than Linux on x64, missing tools, a full disk, a
 * failure of pip, npm or the compiler; each message tells what to do.
 * @example const { folder } = await orThrow(installNative({ onProgress: console.error }))
 */
export const installNative = (options: NativeInstallOptions = {}): TE.TaskEither<IoError, NativeInstalled> => {
  const { cache = cacheDirectory(), gpu = false } = options
  const folder = nativeFolder(cache)
  return TE.mapLeft(({ message }: IoError) =>
    ioError(saysFull(message) ? fullDisk(folder, bytesNeeded[gpu ? 'tensorflow' : 'tensorflow-cpu']) : message),
  )(attempt(folder, () => install(options)))
}
