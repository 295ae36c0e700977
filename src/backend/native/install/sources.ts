import { createWriteStream } from 'node:fs'
import { cp, mkdir } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { scriptsFolder, type TensorflowPackage } from '../builds.ts'
import { readZipEntry } from '../../../host/index.ts'
import { refusal } from '../../../text/index.ts'
import { must } from './tools.ts'

/** npm packages, in versions that were tested together. */
const packages = {
  tfjs: ['@tensorflow/tfjs-node', '4.22.0'],
  headers: ['node-api-headers', '1.9.0'],
  protobuf: ['google-protobuf', '3.21.4'],
} as const

/** TensorFlow's libraries, by their path in a wheel, which is also their path in a build. */
export const libraries = ['tensorflow/libtensorflow_cc.so.2', 'tensorflow/libtensorflow_framework.so.2'] as const
const headers = [
  'tensorflow/c/c_api.h',
  'tensorflow/c/c_api_macros.h',
  'tensorflow/c/eager/c_api.h',
  'tensorflow/c/tf_attrtype.h',
  'tensorflow/c/tf_buffer.h',
  'tensorflow/c/tf_datatype.h',
  'tensorflow/c/tf_status.h',
  'tensorflow/c/tf_tensor.h',
  'tensorflow/c/tf_tstring.h',
  'tensorflow/core/platform/ctstring.h',
  'tensorflow/core/platform/ctstring_internal.h',
  'tsl/platform/ctstring.h',
  'tsl/platform/ctstring_internal.h',
  'xla/tsl/c/tsl_status.h',
].map(file => `tensorflow/include/${file}`)

/**
 * The package and version of a wheel, from its file name. Throws an `IoError` if it belongs to another package.
 * @example wheelOf('tensorflow_cpu-2.18.1-cp311-cp311-x.whl')
 */
export const wheelOf = (file: string): { readonly name: TensorflowPackage; readonly version: string } => {
  const [, cpu, version] = /^tensorflow(_cpu)?-(\d[\w.]*)-.*\.whl$/.exec(path.basename(file)) ?? []
  if (version === undefined) throw refusal(`${file}: it is not a wheel of tensorflow or tensorflow-cpu`)
  return { name: cpu === undefined ? 'tensorflow' : 'tensorflow-cpu', version }
}

/** Unpacks into a folder TensorFlow's libraries and the headers that the addon includes. */
export const unpackWheel = async (wheel: string, folder: string): Promise<void> => {
  for (const name of [...libraries, ...headers]) {
    const file = path.join(folder, name)
    await mkdir(path.dirname(file), { recursive: true })
    await pipeline(readZipEntry(wheel, name), createWriteStream(file))
  }
}

/** The size limit of a wheel's metadata, which is read into memory. */
const longestMetadata = 10e6
const requirement = /^Requires-Dist: (nvidia-[\w-]+) ?\(?(==[\w.]+)\)?.*extra == ['"]and-cuda['"]/gm

/**
 * The `nvidia-*` requirements for CUDA in a wheel's metadata.
 * @example await cudaRequirements(wheel) // ['nvidia-cublas-cu12==12.5.3.2', …]
 */
export const cudaRequirements = async (wheel: string, version: string): Promise<readonly string[]> => {
  const pieces: Uint8Array[] = []
  const name = `tensorflow-${version}.dist-info/METADATA`
  for await (const piece of readZipEntry(wheel, name, longestMetadata)) pieces.push(piece)
  return [...Buffer.concat(pieces).toString('utf8').matchAll(requirement)].map(([, name, exact]) => `${name}${exact}`)
}

/** tfjs-node, Node's headers and protobuf, unpacked from npm into folders of one directory. */
export interface Sources {
  readonly binding: string
  readonly dist: string
  readonly include: string
  readonly protobuf: string
}

/** Fetches the sources with `npm pack`, which runs none of their scripts. */
export const fetchSources = async (directory: string, env: NodeJS.ProcessEnv): Promise<Sources> => {
  const options = { cwd: directory, env }
  await must(
    'fetch tfjs-node',
    'npm',
    ['pack', '--loglevel=error', ...Object.values(packages).map(([name, version]) => `${name}@${version}`)],
    options,
  )
  const unpacked = async ([name, version]: readonly [string, string]): Promise<string> => {
    const file = `${name.replace('@', '').replace('/', '-')}-${version}`
    await mkdir(path.join(directory, file))
    await must(`unpack ${name}`, 'tar', ['xzf', `${file}.tgz`, '-C', file, '--strip-components=1'], options)
    return path.join(directory, file)
  }
  const tfjs = await unpacked(packages.tfjs)
  return {
    binding: path.join(tfjs, 'binding'),
    dist: path.join(tfjs, 'dist'),
    include: path.join(await unpacked(packages.headers), 'include'),
    protobuf: path.join(await unpacked(packages.protobuf), 'google-protobuf.js'),
  }
}

/** Copies tfjs-node's scripts into a build, without types and tests. */
export const copyScripts = async ({ dist, protobuf }: Sources, build: string): Promise<void> => {
  const to = path.join(build, scriptsFolder)
  await cp(dist, path.join(to, 'dist'), {
    recursive: true,
    filter: file => !/(\.d\.ts|\.map|_test\.js|run_tests\.js)$/.test(file),
  })
  await cp(protobuf, path.join(to, 'google-protobuf.js'))
}
